"""What can happen to an execution: the closed set of messages a turn absorbs."""

from __future__ import annotations

from dataclasses import dataclass, field

from workflow.core.values import Json, Value


@dataclass(frozen=True, slots=True)
class Start:
    """The execution was accepted. Always the first message."""

    input: Value


@dataclass(frozen=True, slots=True)
class TaskCompleted:
    """A task that an executor ran has a result. The first answer for an open key wins."""

    key: str
    """Key of the wait, as given by `OpenWait.key`; it names the try."""

    output: Value
    worker: str = ""
    started_at: int | None = None
    """When the executor began, milliseconds since the epoch by the executor's clock; for people only."""

    usage: Json = None
    """What the task cost (tokens, model), as the executor reports it."""


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A task that an executor ran did not succeed."""

    key: str
    error: dict[str, Json]
    """RFC 7807 object: type, status, title?, detail?; `instance` is filled in by the core."""

    retry_after_ms: int | None = None
    """The other side asked for at least this pause before a retry."""

    retryable: bool = True
    """False when trying again cannot help whatever the policy says (at-most-once, outcome unknown)."""

    worker: str = ""
    started_at: int | None = None
    usage: Json = None
    """What the try cost all the same."""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The instant of a timer, retry pause or deadline has come."""

    key: str


@dataclass(frozen=True, slots=True)
class ChildClosed:
    """A sub-workflow that is waited for has ended."""

    key: str
    status: str
    """completed, faulted or cancelled."""

    output: Value = field(default_factory=Value)
    error: dict[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class EventArrived:
    """An event that may be meant for a listener."""

    key: str
    """Of the listener's wait."""

    number: int
    """The event's place in the order of arrival; the answer names it."""

    event: dict[str, Json]
    """The CloudEvent."""


@dataclass(frozen=True, slots=True)
class Cancel:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suspend:
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Resume:
    pass


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on with what a bounded turn left on the agenda."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The host closes an obligation it cannot keep: a dead letter, an input too large to load, a child that cannot start."""

    key: str | None
    """The wait whose task faults, or None to fault the whole execution."""

    error: dict[str, Json]


Message = (
    Start
    | TaskCompleted
    | TaskFailed
    | TimerFired
    | ChildClosed
    | EventArrived
    | Cancel
    | Suspend
    | Resume
    | Continue
    | Fault
)
