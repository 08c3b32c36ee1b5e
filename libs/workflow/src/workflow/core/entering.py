"""How a task begins: its condition, its input, and then whatever its kind does."""

from __future__ import annotations

from collections.abc import Callable

from workflow.core.calls import run_call, run_inline, run_workflow
from workflow.core.cancelling import timeout_key
from workflow.core.catching import run_try
from workflow.core.emitting import run_emit
from workflow.core.errors import ErrorKind, TaskFault, fault
from workflow.core.flow import complete, deliver, fail, transformed
from workflow.core.forks import run_fork
from workflow.core.immediate import run_list, run_raise, run_set, run_switch, run_wait
from workflow.core.listening import run_listen
from workflow.core.loops import run_for
from workflow.core.nodes import Kind, Then
from workflow.core.outcomes import Done, Outcome, milliseconds_of
from workflow.core.recording import record_created, record_started
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, Step
from workflow.core.tree import earlier
from workflow.core.values import Value
from workflow.core.work import Work, truthy

_RUN: dict[Kind, Callable[[Work, Frame, TaskScope], Outcome]] = {
    Kind.WORKFLOW: run_list,
    Kind.CALL: run_call,
    Kind.INLINE: run_inline,
    Kind.DO: run_list,
    Kind.EMIT: run_emit,
    Kind.FOR: run_for,
    Kind.FORK: run_fork,
    Kind.LISTEN: run_listen,
    Kind.RAISE: run_raise,
    Kind.RUN: run_workflow,
    Kind.SET: run_set,
    Kind.SWITCH: run_switch,
    Kind.TRY: run_try,
    Kind.WAIT: run_wait,
}


def enter(work: Work, frame: Frame) -> None:
    """Evaluate all that the task needs to begin, then begin it. Tasks that take no time end here, too."""
    node = frame.node
    raw = frame.value
    assert raw is not None
    scope = TaskScope(work, frame, raw)
    try:
        _refuse_endless(work, frame)
        if node.condition is not None and not truthy(work.evaluate(node.condition, scope)):
            work.drop(frame)
            deliver(work, frame, raw, Then.CONTINUE)
            return
        scope.value = _input(work, frame, raw, scope)
        limit_ms = _time_limit(work, frame, scope)
        outcome = _RUN[node.kind](work, frame, scope)
        if isinstance(outcome, Done):
            output, context = transformed(work, node, outcome.output, scope)
    except TaskFault as raised:
        _record_begun(work, frame)
        fail(work, frame, raised.failure)
        return
    _record_begun(work, frame)
    if isinstance(outcome, Done):
        if outcome.begin is not None:
            outcome.begin()
        then = node.then if outcome.then is None else outcome.then
        complete(work, frame, output, context, then)
    else:
        _park(work, frame, limit_ms)
        outcome()


def _record_begun(work: Work, frame: Frame) -> None:
    frame.started_at = work.now_ms
    record_created(work, frame)
    record_started(work, frame)


def _refuse_endless(work: Work, frame: Frame) -> None:
    if work.state.sequence >= work.limits.history_events_max:
        raise fault(
            ErrorKind.RUNTIME,
            f"the execution has {work.state.sequence} history events, the most that are allowed",
        )
    if frame.depth > work.limits.depth_max:
        raise fault(
            ErrorKind.RUNTIME, f"tasks are nested deeper than {work.limits.depth_max} levels"
        )


def _input(work: Work, frame: Frame, raw: Value, scope: TaskScope) -> Value:
    """The transformed input. The frame keeps both, as expressions of this task may read them."""
    node = frame.node
    frame.raw = raw
    if node.input_schema is not None:
        node.input_schema.check(work.loaded(raw))
    value = raw if node.input_from is None else work.evaluate_value(node.input_from, scope)
    frame.input = value
    return value


def _time_limit(work: Work, frame: Frame, scope: TaskScope) -> int | None:
    """How long the task may take. For the workflow, the definition may only lower the operator's limit."""
    timeout = frame.node.timeout
    own = None if timeout is None else milliseconds_of(work, timeout, scope)
    return earlier(own, work.limits.duration_ms_max) if frame.parent is None else own


def _park(work: Work, frame: Frame, limit_ms: int | None) -> None:
    """The task goes on after this step: keep only what will be needed."""
    node = frame.node
    frame.step = Step.OPEN
    frame.value = None
    frame.encoded = None
    if not node.needs_raw:
        frame.raw = None
    if not node.needs_input:
        frame.input = None
    if limit_ms is not None:
        frame.due_at = work.now_ms + limit_ms
        frame.deadline = earlier(frame.deadline, frame.due_at)
        work.open_timer(timeout_key(frame), frame.due_at, frame)
