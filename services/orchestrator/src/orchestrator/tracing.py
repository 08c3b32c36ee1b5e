"""One span a turn, below the trace that the execution was started in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from common.ids import uuid7_ms
from common.telemetry import current_traceparent, span
from orchestrator.deliveries import Live
from orchestrator.ports import Facts

LINKED_AFTER_MS = 60 * 60 * 1000
"""An execution older than this goes on in a trace of its own, linked to its first: backends cut long traces."""


@contextmanager
def turn_span(live: Live, *, now_ms: int) -> Generator[Facts]:
    """The span of one turn of an execution that is recorded; gives the facts that tasks and children opened by it carry on, in its trace."""
    facts = live.facts
    is_old = now_ms - uuid7_ms(facts.execution_id) > LINKED_AFTER_MS
    attributes: dict[str, str | int] = {
        "kwe.execution_id": str(facts.execution_id),
        "kwe.workflow_id": facts.workflow_id,
        "kwe.version": live.version,
    }
    with span(
        "execution.advance",
        parent_traceparent=None if is_old else facts.traceparent,
        links=[facts.traceparent] if is_old else (),
        attributes=dict(attributes),
        root=is_old,
    ):
        yield replace(facts, traceparent=current_traceparent())


def is_recorded(traceparent: str) -> bool:
    """Whether anybody wants spans below it."""
    return len(traceparent) == 55 and int(traceparent[-2:], 16) & 1 == 1
