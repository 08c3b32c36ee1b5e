"""What dashboards learn from a committed batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from common import metrics
from common.metrics import workflow_label
from orchestrator.deliveries import Group


def measure(groups: Iterable[Group]) -> None:
    """Count the events by type, and executions by the phase they entered."""
    types: Counter[str] = Counter()
    for group in groups:
        if group.live is None or group.result is None:
            continue
        types.update(event["type"] for event in group.result.effects.events)
        phase = group.result.effects.phase
        if phase is not None:
            _entered(group, phase.value, is_final=phase.is_final)
    for event_type, count in types.items():
        metrics.TRANSITIONS.labels(event_type=event_type).inc(count)


def _entered(group: Group, phase: str, *, is_final: bool) -> None:
    assert group.live is not None
    assert group.result is not None
    workflow_id = workflow_label(group.live.facts.workflow_id)
    metrics.WORKFLOW_EXECUTIONS.labels(status=phase, workflow_id=workflow_id).inc()
    events = group.result.effects.events
    if is_final and events:
        # Before it began, a cancelled execution has no start; it took no time then.
        started_ms = group.live.state.started_at or events[-1]["at"]
        duration_s = max(events[-1]["at"] - started_ms, 0) / 1000
        metrics.WORKFLOW_DURATION.labels(status=phase, workflow_id=workflow_id).observe(duration_s)
