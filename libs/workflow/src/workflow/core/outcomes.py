"""What entering a task comes to: an output at once, or work that goes on after this step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workflow.core.errors import ErrorKind, fault
from workflow.core.nodes import Duration
from workflow.core.scope import TaskScope
from workflow.core.values import Value
from workflow.core.work import Work
from workflow.document.durations import InvalidDuration, parse_duration


@dataclass(slots=True)
class Done:
    """The task took no time."""

    output: Value
    """The raw output."""
    then: int | None = None
    """Where to go, instead of the task's own `then`."""
    begin: Callable[[], None] | None = None
    """What it sets off on its way, without waiting for it."""


Outcome = Done | Callable[[], None]
"""A callable opens what the task waits for; it evaluates nothing."""


def milliseconds_of(work: Work, duration: Duration, scope: TaskScope) -> int:
    """A duration of the definition in milliseconds; an unusable one is a fault."""
    if duration.milliseconds is not None:
        return duration.milliseconds
    assert duration.formula is not None
    try:
        return parse_duration(work.evaluate(duration.formula, scope))
    except InvalidDuration as error:
        if work.reads_secrets:
            raise fault(ErrorKind.EXPRESSION, "the duration is unusable") from None
        raise fault(ErrorKind.EXPRESSION, f"the duration is unusable: {error}") from error
