"""Kinds of tasks that only compute (set, switch, raise), wait, or run their list."""

from __future__ import annotations

from workflow.core.errors import ErrorKind, Failure, TaskFault, fault
from workflow.core.nodes import ListSpec, RaiseSpec, SetSpec, SwitchSpec, Then, WaitSpec
from workflow.core.outcomes import Done, Outcome, milliseconds_of
from workflow.core.scope import TaskScope
from workflow.core.state import Frame
from workflow.core.values import REDACTED, Json
from workflow.core.work import Work, truthy


def run_list(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is ListSpec
    value = scope.value
    if not spec.tasks:
        return Done(value)
    first = spec.tasks[0]
    return lambda: void(work.spawn(first, frame, value))


def run_set(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is SetSpec
    return Done(work.evaluate_value(spec.value, scope))


def run_switch(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is SwitchSpec
    for condition, then in spec.cases:
        if condition is None or truthy(work.evaluate(condition, scope)):
            return Done(scope.value, None if then == Then.CONTINUE else then)
    return Done(scope.value)


def run_raise(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is RaiseSpec
    given = work.evaluate_value(spec.error, scope)
    error = _checked(given.json)
    raise TaskFault(Failure(error if given.secrets is None else _concealed(error, given.secrets)))


def run_wait(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is WaitSpec
    pause_ms = milliseconds_of(work, spec.duration, scope)
    if pause_ms <= 0:
        return Done(scope.value)
    return lambda: work.open_timer(str(frame.id), work.now_ms + pause_ms, frame)


def void(_: object) -> None:
    """Drop what a call gives, where a lambda must give nothing."""


def _concealed(error: dict[str, Json], secrets: frozenset[str]) -> dict[str, Json]:
    """Errors are recorded and shown, so what may have been made from secrets is left out of them."""
    hidden: dict[str, Json] = {name: REDACTED for name in ("title", "detail") if name in error}
    for name in ("type", "instance"):
        if any(secret in error.get(name, "") for secret in secrets):
            hidden[name] = REDACTED
    return {**error, **hidden}


def _checked(given: Json) -> dict[str, Json]:
    """The error as raised, provided that its parts came out as an error needs them."""
    error = dict(given)
    status = error["status"]
    if isinstance(status, float) and status.is_integer():
        error["status"] = status = int(status)
    if not isinstance(status, int) or isinstance(status, bool):
        raise fault(ErrorKind.EXPRESSION, "the status of the raised error is not a whole number")
    for name in ("type", "title", "detail", "instance"):
        if name in error and not isinstance(error[name], str):
            raise fault(ErrorKind.EXPRESSION, f"the {name} of the raised error is not a text")
    return error
