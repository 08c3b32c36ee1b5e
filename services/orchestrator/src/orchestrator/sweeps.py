"""What somebody did not get to: found in PostgreSQL, and done again.

Every replica sweeps. Rows are taken with SKIP LOCKED, and doing a thing twice is harmless, so no replica needs to be
chosen for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import orjson
import structlog

from common import metrics
from common.contracts.base import encode
from common.contracts.executions import CancelExecution, ChildClosed, ContinueExecution
from common.contracts.tasks import TaskRequested
from common.streams import names
from common.streams.publisher import Outgoing
from orchestrator.assemble import Installation
from orchestrator.deliveries import Delivery, ObligationBroken, TimerDue
from orchestrator.notes import unknown_outcome
from orchestrator.ports import Bus, Facts
from orchestrator.publications import Note, events_entries
from orchestrator.windows import QueueWindows
from workflow.core.errors import ErrorKind, error_of

log = structlog.get_logger()

OWED_AGE_S = 5.0
"""A publication this old was left behind by its author."""

CHILD_AGE_S = 5.0
PAGE = 500

EVENTS_AT_ONCE = 2_000
"""About as many events are read and published at once; one turn may have more than a thousand."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One row of history, with what public events need."""

    facts: Facts
    seq_from: int
    events: bytes


@dataclass(frozen=True, slots=True)
class TaskBody:
    execution_id: UUID
    key: str
    queue: str
    body: bytes


@dataclass(frozen=True, slots=True)
class OverdueTask:
    task: TaskBody
    organization_id: UUID
    started_by: str | None
    opened_ms: int


@dataclass(frozen=True, slots=True)
class DueWait:
    execution_id: UUID
    organization_id: UUID
    key: str
    kind: str
    late_s: float = 0.0
    """How long ago it came due, by the database's clock."""


@dataclass(frozen=True, slots=True)
class ChildWait:
    execution_id: UUID
    organization_id: UUID
    key: str
    child_id: UUID | None = None


class SweepStore(Protocol):
    """Each method is one transaction, and may raise `StoreAway`."""

    async def owed(self, age_s: float, limit: int) -> list[Note]: ...

    async def settle(self, ids: Sequence[UUID]) -> None: ...

    async def history_of(self, ranges: Sequence[tuple[UUID, int, int]]) -> list[Turn]: ...

    async def published_bodies(self, tasks: Sequence[tuple[UUID, str]]) -> list[TaskBody]: ...

    async def take_ready(self, queue: str, room: int) -> list[TaskBody]: ...

    async def due(self, partitions: Sequence[int], late_s: float, limit: int) -> list[DueWait]: ...

    async def overdue(self, limit: int) -> list[OverdueTask]: ...

    async def closed_children(self, age_s: float, limit: int) -> list[ChildWait]: ...

    async def missing_children(self, age_s: float, limit: int) -> list[ChildWait]: ...

    async def abandoned_children(self, age_s: float, limit: int) -> list[tuple[UUID, UUID]]: ...


class QueueView(Protocol):
    """What the streams say about queues. Raises one of `REDIS_ERRORS`."""

    async def lengths(self, queues: Sequence[str]) -> dict[str, int]: ...

    async def oldest_ms(self, queue: str) -> int | None:
        """When the oldest entry of the queue's stream was added; None if it is empty."""
        ...


class Sweeps:
    def __init__(
        self,
        *,
        store: SweepStore,
        bus: Bus,
        queues: QueueView,
        windows: QueueWindows,
        installation: Installation,
    ) -> None:
        self._store = store
        self._bus = bus
        self._queues = queues
        self._windows = windows
        self._installation = installation

    async def publish_owed(self) -> int:
        """Publish what batches owe whose author did not. At least once: two sweepers may both do it."""
        notes = await self._store.owed(OWED_AGE_S, PAGE)
        if not notes:
            return 0
        for portion in _portions(notes):
            await self._publish(portion)
            await self._store.settle([note.id for note in portion])
        metrics.PUBLICATIONS_SWEPT.inc(len(notes))
        log.info("publications_swept", count=len(notes))
        return len(notes)

    async def _publish(self, notes: Sequence[Note]) -> None:
        events = [each for note in notes for each in note.events]
        tasks = [each for note in notes for each in note.tasks]
        outgoing = self.as_events(await self._store.history_of(events)) if events else []
        if tasks:
            outgoing += self.as_requests(await self._store.published_bodies(tasks))
        outgoing += [each for note in notes for each in note.direct]
        await self._bus.publish(outgoing, [mark for note in notes for mark in note.cancelled], [])

    async def refill(self) -> int:
        """Take up tasks that waited for room in their queue's window."""
        if self._windows.queues:
            self._windows.correct(await self._queues.lengths(self._windows.queues))
        taken = 0
        for queue in self._windows.backlogs:
            room = min(self._windows.room(queue), PAGE)
            if room == 0:
                continue
            bodies = await self._store.take_ready(queue, room)
            if len(bodies) < room:
                self._windows.emptied(queue)
            if bodies:
                self._windows.filled(queue, len(bodies))
                # A crash here leaves them marked published and never sent: they become overdue, and are sent then.
                await self._bus.publish(self.as_requests(bodies), [], [])
            taken += len(bodies)
        return taken

    async def due_timers(self, partitions: Sequence[int], *, late_s: float) -> list[Delivery]:
        """Timers of these partitions that came due and that no local alarm has fired."""
        due = await self._store.due(partitions, late_s, PAGE)
        for wait in due:
            if wait.kind == "timer":
                metrics.TIMER_LAG_SECONDS.observe(wait.late_s)
        return [self._due(wait) for wait in due]

    async def look_after_overdue(self) -> list[Delivery]:
        """Tasks of which nothing was heard: publish again what is in no stream; give up at-most-once ones."""
        told: list[Delivery] = []
        lost: list[TaskBody] = []
        oldest: dict[str, int | None] = {}
        for late in await self._store.overdue(PAGE):
            task = late.task
            if late.started_by is not None:
                told.append(Delivery(unknown_outcome(task.execution_id, task.key)))
                continue
            if task.queue not in oldest:
                oldest[task.queue] = await self._queues.oldest_ms(task.queue)
            first = oldest[task.queue]
            # An entry at least as old as the task is still queued: this one may be too, behind it.
            if first is None or first > late.opened_ms + 1000:
                lost.append(task)
        if lost:
            log.warning("tasks_published_again", count=len(lost))
            metrics.TASKS_PUBLISHED_AGAIN.labels(reason="overdue").inc(len(lost))
            await self._bus.publish(self.as_requests(lost), [], [])
        return told

    async def mend_children(self) -> list[Delivery]:
        """Notices between parents and children that got lost."""
        told: list[Delivery] = []
        for wait in await self._store.closed_children(CHILD_AGE_S, PAGE):
            assert wait.child_id is not None
            message = ChildClosed(
                organization_id=wait.organization_id,
                execution_id=wait.execution_id,
                key=wait.key,
                child_id=wait.child_id,
            )
            told.append(Delivery(message))
        for wait in await self._store.missing_children(CHILD_AGE_S, PAGE):
            detail = "The workflow to run is not registered, or runs itself without an end."
            error = error_of(ErrorKind.CONFIGURATION, detail)
            told.append(Delivery(ObligationBroken(wait.execution_id, wait.key, error)))
        for child_id, organization_id in await self._store.abandoned_children(CHILD_AGE_S, PAGE):
            told.append(
                Delivery(
                    CancelExecution(
                        organization_id=organization_id,
                        execution_id=child_id,
                        reason="its parent has ended",
                    )
                )
            )
        return told

    def as_events(self, turns: Sequence[Turn]) -> list[Outgoing]:
        return [
            entry
            for turn in turns
            for entry in events_entries(
                turn.facts,
                turn.seq_from,
                orjson.loads(turn.events),
                maxlen=self._installation.events_maxlen,
            )
        ]

    def as_requests(self, bodies: Sequence[TaskBody]) -> list[Outgoing]:
        """Requests as they are published now: with the generation that Redis is in."""
        outgoing = []
        for each in bodies:
            request = TaskRequested.model_validate_json(each.body)
            renewed = request.model_copy(
                update={"generation": self._installation.generation.current}
            )
            outgoing.append(Outgoing(names.tasks(each.queue), encode(renewed)))
        return outgoing

    @staticmethod
    def _due(wait: DueWait) -> Delivery:
        if wait.kind == "continue":
            return Delivery(
                ContinueExecution(
                    organization_id=wait.organization_id, execution_id=wait.execution_id
                )
            )
        return Delivery(TimerDue(wait.execution_id, wait.key))


def _portions(notes: Sequence[Note]) -> Iterator[list[Note]]:
    """The notes in groups of about `EVENTS_AT_ONCE` events."""
    portion: list[Note] = []
    count = 0
    for note in notes:
        portion.append(note)
        count += sum(last - first + 1 for _, first, last in note.events)
        if count >= EVENTS_AT_ONCE:
            yield portion
            portion, count = [], 0
    if portion:
        yield portion
