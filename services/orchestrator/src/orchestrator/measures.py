"""What dashboards learn from batches."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from functools import cache

from prometheus_client import Counter, Histogram

from common import metrics
from common.bounded_labels import workflow_label
from orchestrator.deliveries import Group

DECIDING = metrics.BATCH_SECONDS.labels(stage="deciding")
COMMITTING = metrics.BATCH_SECONDS.labels(stage="committing")
PUBLISHING = metrics.BATCH_SECONDS.labels(stage="publishing")
WHOLE = metrics.BATCH_SECONDS.labels(stage="whole")


def measure(groups: Iterable[Group]) -> None:
    """Count the events by type, and executions by the phase they entered."""
    types: collections.Counter[str] = collections.Counter()
    for group in groups:
        if group.live is None or group.result is None:
            continue
        types.update(event["type"] for event in group.result.effects.events)
        if group.start is not None:
            metrics.ORGANIZATION_EXECUTIONS.inc(group.live.facts.organization_id)
        phase = group.result.effects.phase
        if phase is not None:
            _entered(group, phase.value, is_final=phase.is_final)
    for event_type, count in types.items():
        _transitions(event_type).inc(count)


def _entered(group: Group, phase: str, *, is_final: bool) -> None:
    assert group.live is not None
    assert group.result is not None
    executions, durations = _of_phase(phase, workflow_label(group.live.facts.workflow_id))
    executions.inc()
    events = group.result.effects.events
    if is_final and events:
        # Before it began, a cancelled execution has no start; it took no time then.
        started_ms = group.live.state.started_at or events[-1]["at"]
        duration_s = max(events[-1]["at"] - started_ms, 0) / 1000
        durations.observe(duration_s)


# Finding a child by its labels costs more than counting; there are as many as labels, which are bounded.
@cache
def _transitions(event_type: str) -> Counter:
    return metrics.TRANSITIONS.labels(event_type=event_type)


@cache
def _of_phase(phase: str, workflow_id: str) -> tuple[Counter, Histogram]:
    return (
        metrics.WORKFLOW_EXECUTIONS.labels(status=phase, workflow_id=workflow_id),
        metrics.WORKFLOW_DURATION.labels(status=phase, workflow_id=workflow_id),
    )
