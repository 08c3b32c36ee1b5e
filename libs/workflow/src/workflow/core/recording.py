"""How the turn writes history: one event per fact, small outputs in it, large ones by reference."""

from __future__ import annotations

from workflow.core.effects import StoredValue
from workflow.core.errors import Failure
from workflow.core.extras import CallReport
from workflow.core.nodes import CallSpec, Kind
from workflow.core.state import Frame
from workflow.core.tree import task_id_of
from workflow.core.values import REDACTED, Json, Value
from workflow.core.work import Work

OUTPUT_INLINE_BYTES_MAX = 1024
"""Outputs up to this size are part of the event: history is written once and never carried along."""

_REMOTE = frozenset({Kind.CALL, Kind.RUN})


def task_event(work: Work, frame: Frame, type: str) -> dict[str, Json]:
    return {
        "type": type,
        "at": work.now_ms,
        "task": frame.path,
        "name": frame.node.name,
        "taskId": task_id_of(work.state, frame),
    }


def record_created(work: Work, frame: Frame) -> None:
    node = frame.node
    if node.kind is Kind.WORKFLOW:
        return
    event = task_event(work, frame, "task.created")
    event["kind"] = node.word
    if type(node.spec) is CallSpec:
        event["function"] = node.spec.function
    work.emit(event)


def record_started(work: Work, frame: Frame) -> None:
    if frame.node.kind is Kind.WORKFLOW:
        return
    event = task_event(work, frame, "task.started")
    event["attempt"] = frame.attempt
    work.emit(event)


def record_retried(
    work: Work, frame: Frame, failure: Failure, *, attempt: int, delay_ms: int
) -> None:
    event = task_event(work, frame, "task.retried")
    event["attempt"] = attempt
    event["delayMs"] = delay_ms
    event["error"] = failure.error
    work.emit(event)


def record_completed(work: Work, frame: Frame, output: Value) -> None:
    event = task_event(work, frame, "task.completed")
    _add_report(frame, event)
    _add_output(work, event, output, stored=frame.node.kind in _REMOTE)
    work.emit(event)


def record_faulted(work: Work, frame: Frame, failure: Failure) -> None:
    event = task_event(work, frame, "task.faulted")
    event["attempt"] = frame.attempt
    _add_report(frame, event)
    event["error"] = failure.error
    work.emit(event)


def record_cancelled(work: Work, frame: Frame) -> None:
    work.emit(task_event(work, frame, "task.cancelled"))


def record_workflow(work: Work, type: str, **facts: Json) -> None:
    work.emit({"type": f"workflow.{type}", "at": work.now_ms, **facts})


def record_workflow_completed(work: Work, output: Value) -> None:
    event = {"type": "workflow.completed", "at": work.now_ms}
    _add_output(work, event, output, stored=True)
    work.emit(event)


def store_results(work: Work) -> list[StoredValue]:
    """Give large results of calls a name, for history; the state, if it keeps them too, uses the same one."""
    stored = []
    for _, output, wanted in work.large_outputs:
        if wanted and output.reference is None:
            reference = work.state.keep(output)
            stored.append(StoredValue(reference.id, output.raw))
    return stored


def name_outputs(work: Work) -> None:
    """Say in the events where large outputs are, now that it is known which of them are stored."""
    for event, output, _ in work.large_outputs:
        _refer(event, output)
    work.large_outputs.clear()


def _add_report(frame: Frame, event: dict[str, Json]) -> None:
    if type(frame.extra) is CallReport:
        event.update(frame.extra.facts)


def _add_output(work: Work, event: dict[str, Json], output: Value, *, stored: bool) -> None:
    # A stored value is named even if it happens to be in memory: history must not depend on what a host cached.
    if output.reference is not None:
        _refer(event, output)
    elif output.secrets is not None:
        event["output"] = REDACTED
    elif len(output.raw) <= OUTPUT_INLINE_BYTES_MAX:
        event["output"] = output.json
    else:
        work.large_outputs.append((event, output, stored))


def _refer(event: dict[str, Json], output: Value) -> None:
    reference = output.reference
    if reference is not None:
        event["outputRef"] = reference.id
    event["outputSize"] = len(output.raw) if reference is None else reference.size
