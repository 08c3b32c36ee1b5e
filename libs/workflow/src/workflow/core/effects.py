"""What a turn asks of the outside world. Everything here is committed in one transaction or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from workflow.core.values import Json, Secrets, Value


class Phase(StrEnum):
    """Status of an execution: the phases of the workflow language."""

    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    SUSPENDED = "suspended"
    CANCELLED = "cancelled"
    FAULTED = "faulted"
    COMPLETED = "completed"

    @property
    def is_final(self) -> bool:
        return self in FINAL_PHASES


FINAL_PHASES = frozenset({Phase.CANCELLED, Phase.FAULTED, Phase.COMPLETED})


class WaitKind(StrEnum):
    """Why an unfinished execution is not moving."""

    TASK = "task"
    TIMER = "timer"
    CHILD = "child"
    CONTINUE = "continue"
    SUSPENDED = "suspended"
    ADMISSION = "admission"
    EVENT = "event"


class TaskStart(NamedTuple):
    """One try of a task that an executor runs."""

    task_id: str
    """uuid5(execution, JSON pointer + iteration path); the idempotency key of side effects, the same over tries."""

    attempt: int
    """The try, from 1; counts the retries that the definition asks for."""

    name: str
    reference: str
    """JSON pointer of the task in the document, with iterations, such as `/do/0/loop/for/3/do/0/fetch`."""

    queue: str
    function: str
    """`http`, or `name:version` of a function of the catalog."""

    input: Value
    timeout_ms: int | None = None
    """Time one try may take, by the definition's innermost timeout on this task."""

    at_most_once: bool = False


@dataclass(frozen=True, slots=True)
class ChildStart:
    """A sub-workflow to create in the same transaction."""

    namespace: str
    name: str
    version: str
    """A semver or `latest`."""

    input: Value
    awaited: bool


class Interest(NamedTuple):
    """What an event must have for a filter to be asked at all: enough to find listeners by an index."""

    type: str
    """Empty: any type."""
    correlation: str = ""
    """A jq program that reads one value from the envelope; empty if none is known."""
    expected: str = ""
    """Fingerprint of the value that it must give."""


class Listening(NamedTuple):
    listener: str
    """The listener as the document has it, the same over all its activations: no event goes to it twice."""
    interests: tuple[Interest, ...]


class OpenWait(NamedTuple):
    """A live reason for not moving. `key` is unique within the execution for ever: it names frame and try."""

    key: str
    kind: WaitKind
    due_at: int | None = None
    """Milliseconds since the epoch; for timers and `continue`."""

    task: TaskStart | None = None
    child: ChildStart | None = None
    """With `awaited=False` the child is created and no wait is kept."""

    reference: str = ""
    """Which task waits, for people."""

    listening: Listening | None = None
    """What a wait of kind `event` is for."""


@dataclass(frozen=True, slots=True)
class StoredValue:
    id: str
    raw: bytes
    secrets: Secrets = None
    """Set: it is to be stored sealed."""


@dataclass(frozen=True, slots=True)
class CancelledTask:
    """A running try whose result nobody wants any more."""

    key: str
    task_id: str
    attempt: int
    queue: str


@dataclass(slots=True)
class Effects:
    events: list[dict[str, Json]] = field(default_factory=list)
    """History events in order, `{"type": "task.completed", "at": ms, ...}`; see `workflow.core.history`."""

    opened: list[OpenWait] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    """Keys of waits that are satisfied or not wanted any more; may name ones opened in the same turn (then in neither list)."""

    cancelled_tasks: list[CancelledTask] = field(default_factory=list)
    cancelled_children: list[str] = field(default_factory=list)
    """Keys of child waits whose children are to be cancelled."""

    values: list[StoredValue] = field(default_factory=list)
    emitted: list[dict[str, Json]] = field(default_factory=list)
    """CloudEvents for the organisation."""

    consumed: list[tuple[str, int]] = field(default_factory=list)
    """Key of the listener and number of the event: offers that are settled by this turn."""

    refused: list[tuple[str, int]] = field(default_factory=list)
    """The same for events that did not pass; may be there even if nothing changed."""

    idle: list[str] = field(default_factory=list)
    """Keys of listeners that are ready for a further event."""

    unlistened: list[str] = field(default_factory=list)
    """Keys of listeners that take no more events."""

    phase: Phase | None = None
    """The phase after the turn, when it differs from the one before it."""

    output: Value | None = None
    """Set with phase `completed`."""

    error: dict[str, Json] | None = None
    """Set with phase `faulted` (the workflow's error) or `cancelled` (the reason)."""
