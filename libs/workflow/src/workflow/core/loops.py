"""`for`: one turn of the loop after another, each beginning with the output of the one before."""

from __future__ import annotations

from workflow.core.errors import ErrorKind, TaskFault, fault
from workflow.core.extras import LoopState
from workflow.core.flow import fail
from workflow.core.nodes import ForSpec
from workflow.core.outcomes import Done, Outcome
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, Step
from workflow.core.values import Value
from workflow.core.work import Work, truthy


def run_for(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is ForSpec
    given = work.evaluate_value(spec.items, scope)
    items = given.json
    if not isinstance(items, list):
        kind = "null" if items is None else type(items).__name__
        raise fault(ErrorKind.EXPRESSION, f"`for.in` must give an array, and gave {kind}")
    value = scope.value
    if not items or not spec.tasks:
        return Done(value)
    loop = LoopState.over(items, len(given.raw), given.secrets)
    return lambda: _begin(work, frame, loop, value)


def next_turn(work: Work, frame: Frame) -> None:
    """Begin the next turn of the loop, or leave it."""
    spec, loop, value = frame.node.spec, frame.extra, frame.value
    assert type(spec) is ForSpec
    assert type(loop) is LoopState
    assert value is not None
    if loop.index >= loop.count:
        work.schedule(frame, Step.LEAVE)
        return
    if spec.condition is not None:
        try:
            met = truthy(work.evaluate(spec.condition, TaskScope(work, frame, value)))
        except TaskFault as raised:
            fail(work, frame, raised.failure)
            return
        if not met:
            work.schedule(frame, Step.LEAVE)
            return
    frame.value = None
    frame.step = Step.OPEN
    frame.encoded = None
    work.spawn(spec.tasks[0], frame, value)


def _begin(work: Work, frame: Frame, loop: LoopState, value: Value) -> None:
    frame.extra = loop
    frame.value = value
    work.schedule(frame, Step.NEXT)
