"""Tasks that others perform: calls go to an executor's queue, sub-workflows become executions of their own."""

from __future__ import annotations

from workflow.core.effects import ChildStart, OpenWait, TaskStart, WaitKind
from workflow.core.errors import ErrorKind, fault
from workflow.core.nodes import CallSpec, InlineSpec, RunSpec, UnknownFunction
from workflow.core.outcomes import Done, Outcome
from workflow.core.scope import TaskScope
from workflow.core.state import Frame
from workflow.core.tree import task_id_of
from workflow.core.values import Json, Value
from workflow.core.work import Work


def run_call(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    if type(spec) is UnknownFunction:
        raise fault(ErrorKind.CONFIGURATION, spec.detail)
    assert type(spec) is CallSpec
    arguments = work.evaluate_value(spec.input, scope)
    if spec.input_schema is not None:
        spec.input_schema.check(arguments)
    return lambda: _open_call(work, frame, spec, arguments)


def run_inline(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is InlineSpec
    target = spec.target
    assert target is not None
    arguments = work.evaluate_value(spec.input, scope)

    def begin() -> None:
        work.spawn(target, frame, arguments)

    return begin


def run_workflow(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is RunSpec
    child = ChildStart(
        namespace=_text(work, spec, "namespace", scope),
        name=_text(work, spec, "name", scope),
        version=_text(work, spec, "version", scope),
        input=work.evaluate_value(spec.input, scope),
        awaited=spec.awaited,
    )
    if spec.awaited:
        return lambda: work.open(_child_wait(frame, child))
    # Started and forgotten: no wait is kept, and the task's output is its input.
    return Done(scope.value, begin=lambda: work.start_child(_child_wait(frame, child)))


def _open_call(work: Work, frame: Frame, spec: CallSpec, arguments: Value) -> None:
    deadline = frame.deadline
    start = TaskStart(
        task_id_of(work.state, frame),
        frame.attempt,
        frame.node.name,
        frame.path,
        spec.queue,
        spec.function,
        arguments,
        None if deadline is None else max(0, deadline - work.now_ms),
        spec.at_most_once,
    )
    work.open(OpenWait(str(frame.id), WaitKind.TASK, task=start, reference=frame.path))


def _child_wait(frame: Frame, child: ChildStart) -> OpenWait:
    return OpenWait(str(frame.id), WaitKind.CHILD, child=child, reference=frame.path)


def _text(work: Work, spec: RunSpec, name: str, scope: TaskScope) -> str:
    value = work.evaluate_value(getattr(spec, name), scope)
    if value.secrets is not None:
        raise fault(ErrorKind.EXPRESSION, f"the {name} of the workflow to run holds a secret")
    text: Json = value.json
    if not isinstance(text, str):
        raise fault(ErrorKind.EXPRESSION, f"the {name} of the workflow to run is not a text")
    return text
