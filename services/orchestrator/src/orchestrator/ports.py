"""What advancing executions asks of the world, in the orchestrator's words.

The protocol code (`advance`, `sweeps`, `recovery`) awaits these methods and nothing else: no clocks, no locks, no
tasks of the event loop. The seeded simulation drives the very same code with its own implementations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol
from uuid import UUID

from common.streams.consumer import Entry
from common.streams.publisher import Outgoing
from workflow.core.turn import EvaluationFailure, EvaluationResult, NeedEvaluation


@dataclass(frozen=True, slots=True)
class Facts:
    """What never changes about an execution."""

    execution_id: UUID
    organization_id: UUID
    workflow_id: str
    workflow_version: int
    semver: str
    traceparent: str = ""
    parent_id: UUID | None = None
    parent_key: str | None = None

    def __hash__(self) -> int:
        return hash(self.execution_id)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An unfinished execution as PostgreSQL has it."""

    facts: Facts
    version: int
    """The last history sequence; 0 before the first turn."""

    snapshot: bytes
    """Empty before the first turn."""

    may_start: bool = True
    """False while it waits for admission."""


@dataclass(frozen=True, slots=True)
class NewExecution:
    facts: Facts
    status: str
    input: bytes
    labels: Mapping[str, str] = field(default_factory=dict)
    output: bytes | None = None
    error: bytes | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    organization_id: UUID
    route: str
    key: str
    fingerprint: str
    execution_id: UUID


# Rows are tuples: tens of thousands are made a second, and frozen dataclasses take three times as long to make.


class NewState(NamedTuple):
    execution_id: UUID
    organization_id: UUID
    expected: int
    """The version that was read; -1 creates the row."""

    version: int
    snapshot: bytes
    final: bool


class HistoryRow(NamedTuple):
    execution_id: UUID
    organization_id: UUID
    seq_from: int
    seq_to: int
    events: bytes


class NewWait(NamedTuple):
    execution_id: UUID
    key: str
    kind: str
    organization_id: UUID
    partition: int
    reference: str = ""
    due_ms: int | None = None
    queue: str | None = None
    published: bool | None = None
    child_id: UUID | None = None
    body: bytes | None = None


class Payload(NamedTuple):
    owner_id: UUID
    id: UUID
    organization_id: UUID
    raw: bytes


class PhaseChange(NamedTuple):
    execution_id: UUID
    status: str
    output: bytes | None = None
    error: bytes | None = None


class NewEvent(NamedTuple):
    organization_id: UUID
    fingerprint: bytes
    """Of source and id, which together tell a repeated event."""
    type: str
    raw: bytes
    execution_id: UUID | None = None
    """Whose task emitted it."""


class NewListener(NamedTuple):
    execution_id: UUID
    key: str
    organization_id: UUID
    listener: UUID
    type: str
    correlation: str
    expected: str


class Settled(NamedTuple):
    """What an execution did with an event that it was offered."""

    execution_id: UUID
    key: str
    number: int
    is_consumed: bool


class Arrival(NamedTuple):
    """An event that is offered to a listener."""

    execution_id: UUID
    key: str
    number: int
    raw: bytes


@dataclass(slots=True)
class Write:
    """Everything one batch changes, in one transaction."""

    executions: list[NewExecution] = field(default_factory=list)
    idempotency: list[IdempotencyKey] = field(default_factory=list)
    states: list[NewState] = field(default_factory=list)
    history: list[HistoryRow] = field(default_factory=list)
    opened: list[NewWait] = field(default_factory=list)
    closed: list[tuple[UUID, str]] = field(default_factory=list)
    payloads: list[Payload] = field(default_factory=list)
    phases: list[PhaseChange] = field(default_factory=list)
    emitted: list[NewEvent] = field(default_factory=list)
    listeners: list[NewListener] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    unlistened: list[tuple[UUID, str]] = field(default_factory=list)
    forgotten: list[UUID] = field(default_factory=list)
    """Executions that ended, and may have had listeners."""
    publication: UUID | None = None
    publication_body: bytes = b""
    paid: list[UUID] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return self.publication is None and not (
            self.executions
            or self.states
            or self.history
            or self.opened
            or self.closed
            or self.payloads
            or self.phases
            or self.paid
            or self.settled
        )

    @property
    def concerns_events(self) -> bool:
        return bool(
            self.emitted or self.listeners or self.settled or self.unlistened or self.forgotten
        )


class Lost(Exception):
    """The transaction did nothing: these executions were advanced by somebody else, or their keys are taken."""

    def __init__(self, executions: Sequence[UUID], *, keys_taken: bool) -> None:
        super().__init__(f"{len(executions)} executions lost")
        self.executions = frozenset(executions)
        self.keys_taken = keys_taken


class DataRefused(Exception):
    """PostgreSQL refused a value (class 22 or 23): trying again cannot help, some execution in the batch is at fault."""


class ValueMissing(Exception):
    """A stored value that an execution refers to is gone, which a restore of an old backup can do. Taking it for nothing
    would make the execution go on with wrong data."""


class StoreAway(Exception):
    """PostgreSQL cannot be reached, or whether the transaction was committed is not known."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What an idempotency key was first used for."""

    execution_id: UUID
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Closed:
    """How a finished execution ended."""

    facts: Facts
    status: str
    output: bytes | None
    error: bytes | None


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message set aside."""

    stream: str
    entry: bytes
    detail: str


class Store(Protocol):
    """PostgreSQL. Every method is one transaction; each may raise `StoreAway`."""

    async def load(self, ids: Sequence[UUID]) -> dict[UUID, Loaded]:
        """The unfinished ones among `ids`."""
        ...

    async def load_values(self, references: Sequence[tuple[UUID, str]]) -> dict[str, bytes]:
        """Bodies by reference id; `references` are (owner, reference id). Missing ones are left out."""
        ...

    async def load_input(self, execution_id: UUID) -> bytes: ...

    async def commit(self, write: Write) -> None:
        """All or nothing. Raises `Lost`, `DataRefused`."""
        ...

    async def acceptances(
        self, keys: Sequence[IdempotencyKey]
    ) -> dict[tuple[UUID, str, str], Acceptance]: ...

    async def closed(self, ids: Sequence[UUID]) -> dict[UUID, Closed]:
        """The finished ones among `ids`."""
        ...

    async def children(self, waits: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
        """The child executions behind these child waits."""
        ...

    async def levels_above(self, execution_id: UUID, limit: int) -> int:
        """How many executions wait for this one, one for the other; counted up to `limit`."""
        ...

    async def condemn(
        self,
        execution_id: UUID,
        organization_id: UUID | None,
        event: bytes,
        error: bytes,
        letters: Sequence[DeadLetter],
    ) -> int | None:
        """Keep the letters and fault the execution from outside; the sequence of its last event, None if there is none."""
        ...


class Bus(Protocol):
    """Redis. Raises one of `REDIS_ERRORS` when it is away; entries may then have been published or not."""

    async def publish(
        self, entries: Sequence[Outgoing], cancelled: Sequence[CancelMark], done: Sequence[Entry]
    ) -> None:
        """Publish entries, mark cancelled tasks, then acknowledge and delete what is done."""
        ...


@dataclass(frozen=True, slots=True)
class CancelMark:
    queue: str
    task_id: str
    attempt: int


class Evaluator(Protocol):
    async def evaluate(self, need: NeedEvaluation) -> EvaluationResult | EvaluationFailure: ...


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch by PostgreSQL's clock."""
        ...


class Windows(Protocol):
    def admit(self, queue: str) -> bool:
        """Whether one more task may go into this queue's stream now; counts it if so."""
        ...
