"""How control moves: a task leaves, its output goes to what is around it, a failure climbs until it is caught."""

from __future__ import annotations

from workflow.core.cancelling import cancel_inside, close_timeout, close_try_limit, release
from workflow.core.effects import Phase
from workflow.core.errors import Failure, TaskFault
from workflow.core.extras import LoopState, TryState
from workflow.core.forks import branch_ended
from workflow.core.listener_state import ListenState, Stage
from workflow.core.nodes import CallSpec, ForSpec, Kind, ListenSpec, ListSpec, Node, Then, TrySpec
from workflow.core.recording import (
    record_completed,
    record_faulted,
    record_workflow,
    record_workflow_completed,
)
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, Step
from workflow.core.values import Value
from workflow.core.work import Work


def leave(work: Work, frame: Frame) -> None:
    """The task's work is done: transform its raw output and pass it on."""
    node = frame.node
    value = frame.value
    assert value is not None
    scope = TaskScope(work, frame, value)
    try:
        spec = node.spec
        if type(spec) is CallSpec and spec.output_schema is not None:
            spec.output_schema.check(work.loaded(value))
        output, context = transformed(work, node, value, scope)
    except TaskFault as fault:
        fail(work, frame, fault.failure)
        return
    complete(work, frame, output, context, _directive(frame))


def transformed(work: Work, node: Node, raw: Value, scope: TaskScope) -> tuple[Value, Value | None]:
    """The output after `output.as`, and what `export.as` makes of the context, if anything."""
    if node.plain_output:
        return raw, None
    scope.value = scope.raw_output = output = raw
    if node.output_as is not None:
        output = work.evaluate_value(node.output_as, scope)
    if node.output_schema is not None:
        node.output_schema.check(work.loaded(output))
    context = None
    if node.export_as is not None:
        scope.value = scope.output = output
        context = work.evaluate_value(node.export_as, scope)
        if node.export_schema is not None:
            node.export_schema.check(context)
    return output, context


def complete(work: Work, frame: Frame, output: Value, context: Value | None, then: int) -> None:
    if frame.parent is None:
        _complete_workflow(work, frame, output)
        return
    if context is not None:
        frame.thread.context = context
        frame.thread.encoded = None
    _close_own_timers(work, frame)
    record_completed(work, frame, output)
    work.drop(frame)
    deliver(work, frame, output, then)


def deliver(work: Work, child: Frame, output: Value, then: int) -> None:
    """Go on after a task that is over: to the next one in its list, or out of it."""
    parent = child.parent
    assert parent is not None
    if then == Then.END:
        _end_workflow(work, parent, output)
        return
    kind = parent.node.kind
    if kind is Kind.FORK:
        branch_ended(work, parent, child, output)
    elif kind is Kind.INLINE:
        _leave_with(work, parent, output)
    else:
        _go_on(work, parent, child.node.position, output, then)


def fail(work: Work, frame: Frame, failure: Failure) -> None:
    """End a task with a failure, and everything around it up to the `try` that may catch it."""
    failure = failure.at(frame.node.pointer)
    while True:
        cancel_inside(work, frame)
        release(work, frame)
        parent = frame.parent
        if parent is None:
            _fault_workflow(work, frame, failure)
            return
        record_faulted(work, frame, failure)
        work.drop(frame)
        tried = parent.extra
        caught = type(tried) is TryState and not tried.handling
        if caught or work.state.suspended_key is not None:
            parent.failure = failure
            work.schedule(parent, Step.CATCH if caught else Step.CLIMB)
            return
        frame = parent


def fail_as_noted(work: Work, frame: Frame) -> None:
    """The same for a failure that a message left on the frame."""
    assert frame.failure is not None
    fail(work, frame, frame.failure)


def fault_at_once(work: Work, failure: Failure) -> None:
    """End the whole execution, wherever it stands."""
    root = work.state.root
    assert root is not None
    fail(work, root, failure)


def _directive(frame: Frame) -> int:
    spec, extra = frame.node.spec, frame.extra
    if type(spec) is TrySpec and spec.handler_then is not None:
        if type(extra) is TryState and extra.caught:
            return spec.handler_then
    return frame.node.then


def _close_own_timers(work: Work, frame: Frame) -> None:
    close_timeout(work, frame)
    if type(frame.extra) is TryState:
        close_try_limit(work, frame, frame.extra)


def _leave_with(work: Work, frame: Frame, output: Value) -> None:
    frame.value = output
    work.schedule(frame, Step.LEAVE)


def _go_on(work: Work, parent: Frame, position: int, output: Value, then: int) -> None:
    tasks = _active_list(parent)
    target = position + 1 if then == Then.CONTINUE else len(tasks) if then == Then.EXIT else then
    if target >= len(tasks):
        _list_ended(work, parent, output)
        return
    if target <= position:
        parent.lap += 1
        parent.encoded = None
    work.spawn(tasks[target], parent, output)


def _active_list(frame: Frame) -> tuple[Node, ...]:
    spec = frame.node.spec
    if type(spec) is TrySpec:
        assert type(frame.extra) is TryState
        return spec.handler if frame.extra.handling else spec.tasks
    if type(spec) is ListenSpec:
        assert spec.foreach is not None
        return spec.foreach.tasks
    assert type(spec) is ListSpec or type(spec) is ForSpec
    return spec.tasks


def _list_ended(work: Work, frame: Frame, output: Value) -> None:
    loop = frame.extra
    if type(loop) is ListenState:
        loop.stage = Stage.ENDED
        frame.value = output
        work.schedule(frame, Step.NEXT)
        return
    if type(loop) is not LoopState:
        _leave_with(work, frame, output)
        return
    loop.index += 1
    frame.lap = 0
    frame.value = output
    work.schedule(frame, Step.NEXT)


def _end_workflow(work: Work, frame: Frame, output: Value) -> None:
    """`then: end` somewhere inside: what is around it ends well, what runs beside it is cancelled."""
    while frame.parent is not None:
        cancel_inside(work, frame)
        release(work, frame)
        record_completed(work, frame, output)
        work.drop(frame)
        frame = frame.parent
    cancel_inside(work, frame)
    _leave_with(work, frame, output)


def _complete_workflow(work: Work, root: Frame, output: Value) -> None:
    close_timeout(work, root)
    record_workflow_completed(work, output)
    work.end(Phase.COMPLETED, output=output)


def _fault_workflow(work: Work, root: Frame, failure: Failure) -> None:
    del root
    record_workflow(work, "faulted", error=failure.error)
    work.end(Phase.FAULTED, error=failure.error)
