"""What a batch is made of: delivered messages, grouped by the execution they speak of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import orjson

from common.contracts.arrivals import EventsArrived
from common.contracts.base import PayloadReference
from common.contracts.executions import (
    CancelExecution,
    ChildClosed,
    ContinueExecution,
    ResumeExecution,
    StartExecution,
    SuspendExecution,
)
from common.contracts.replies import Reply
from common.contracts.tasks import TaskFailed, TaskSucceeded
from common.streams.consumer import Entry
from orchestrator.definitions import Definition
from orchestrator.ports import Arrival, Closed, Facts, ValueMissing
from workflow.core import messages as core
from workflow.core.state import State
from workflow.core.turn import TurnResult
from workflow.core.values import Reference, Value


@dataclass(frozen=True, slots=True)
class TimerDue:
    """A durable instant has come; found by a sweep or a local alarm, never sent."""

    execution_id: UUID
    key: str


@dataclass(frozen=True, slots=True)
class ObligationBroken:
    """A wait that can never be satisfied: its task or child must fault."""

    execution_id: UUID
    key: str
    error: dict[str, object]
    retryable: bool = False


ExecutionMessage = (
    StartExecution
    | TaskSucceeded
    | TaskFailed
    | CancelExecution
    | SuspendExecution
    | ResumeExecution
    | ContinueExecution
    | ChildClosed
    | EventsArrived
    | TimerDue
    | ObligationBroken
)
CONTROLS = (CancelExecution, SuspendExecution, ResumeExecution)
_CONTROLS = frozenset(CONTROLS)


class Delivery(NamedTuple):
    """A tuple: thousands are made a second, and a frozen dataclass takes three times as long to make."""

    message: ExecutionMessage
    entry: Entry | None = None
    """None for what this process told itself; there is nothing to acknowledge then."""


@dataclass(slots=True)
class Live:
    """An unfinished execution in memory. Its turns change `state` in place; a lost write discards it."""

    facts: Facts
    definition: Definition
    state: State
    version: int
    """What PostgreSQL has; -1 before the row exists."""

    may_start: bool = True


@dataclass(slots=True)
class Group:
    """Everything a batch knows about one execution."""

    execution_id: UUID
    deliveries: list[Delivery] = field(default_factory=list)
    start: StartExecution | None = None
    """The start among the deliveries; it is the first then."""

    has_controls: bool = False
    """Whether somebody who asked for something may wait for an answer."""

    live: Live | None = None
    is_remembered: bool = False
    """Whether `live` was in memory, and may be older than what PostgreSQL has."""

    closed_children: dict[UUID, Closed] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    """Events that are offered to its listeners, in their order; perhaps not all there are."""

    result: TurnResult | None = None
    replies: list[tuple[str, Reply]] = field(default_factory=list)
    refusals: list[tuple[str, Reply]] = field(default_factory=list)
    turned_away: list[Delivery] = field(default_factory=list)
    """Controls of other organisations; answered as if there were nothing here."""

    input_raw: bytes = b"null"
    """For a start: the workflow's raw input as JSON."""

    def read_input(self, bodies: dict[str, bytes]) -> None:
        """Set `input_raw` from the start itself, or from the body it refers to. Raises `ValueMissing`."""
        start = self.start
        if start is None:
            return
        if start.input_ref is not None:
            name = str(start.input_ref.id)
            if name not in bodies:
                raise ValueMissing(f"the stored input {name} is gone")
            self.input_raw = bodies[name]
        else:
            self.input_raw = orjson.dumps({} if start.input is None else start.input)

    def add(self, delivery: Delivery) -> None:
        """One more message. A start comes first, however late it arrived."""
        message = delivery.message
        # Messages have no derived classes, and asking for the exact type is cheap.
        if type(message) is StartExecution:
            self.deliveries.insert(0, delivery)
            self.start = message
        else:
            self.deliveries.append(delivery)
            self.has_controls = self.has_controls or type(message) in _CONTROLS

    def leave_only_starts(self) -> list[Delivery]:
        """Take out and return everything else: it is decided on its own, when the start has been answered."""
        others = [each for each in self.deliveries if type(each.message) is not StartExecution]
        self.deliveries = [each for each in self.deliveries if type(each.message) is StartExecution]
        self.has_controls = False
        return others

    @property
    def is_doubtful(self) -> bool:
        """Nothing is to be written, so no version will be compared: only a state just read is good enough for that."""
        return self.is_remembered and self.result is not None and not self.result.changed

    @property
    def entries(self) -> list[Entry]:
        return [each.entry for each in self.deliveries if each.entry is not None]


def group_by_execution(deliveries: Iterable[Delivery]) -> list[Group]:
    """One group an execution, messages in order of arrival, a start first."""
    groups: dict[UUID, Group] = {}
    for delivery in deliveries:
        execution_id = delivery.message.execution_id
        group = groups.get(execution_id)
        if group is None:
            group = groups[execution_id] = Group(execution_id)
        group.add(delivery)
    return list(groups.values())


def value_of(json: object, reference: PayloadReference | None) -> Value:
    if reference is None:
        return Value(json)
    return Value.of_reference(Reference(str(reference.id), reference.size))


def to_core(message: ExecutionMessage, group: Group) -> core.Message | None:
    """The message in the core's words; None when there is nothing to tell it."""
    match message:
        case TaskSucceeded():
            return core.TaskCompleted(
                message.key,
                value_of(message.output, message.output_ref),
                message.worker,
                message.started_at_ms,
                message.usage,
            )
        case TaskFailed():
            return core.TaskFailed(
                message.key,
                message.error,
                message.retry_after_ms,
                message.retryable,
                message.worker,
                message.started_at_ms,
                message.usage,
            )
        case TimerDue():
            return core.TimerFired(message.key)
        case ContinueExecution():
            return core.Continue()
        case CancelExecution():
            return core.Cancel(message.reason)
        case SuspendExecution():
            return core.Suspend(message.reason)
        case ResumeExecution():
            return core.Resume()
        case ChildClosed():
            return _child_closed(message, group)
        case ObligationBroken():
            return core.Fault(message.key, dict(message.error))
        case StartExecution() | EventsArrived():
            return None


def _child_closed(message: ChildClosed, group: Group) -> core.ChildClosed | None:
    closed = group.closed_children.get(message.child_id)
    if closed is None:
        return None
    return core.ChildClosed(
        message.key,
        closed.status,
        Value.of_bytes(closed.output) if closed.output is not None else Value(),
        Value.of_bytes(closed.error).json if closed.error is not None else None,
    )
