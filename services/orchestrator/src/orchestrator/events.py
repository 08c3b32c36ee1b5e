"""Events: kept first, then offered to whoever listens.

Theory of operation
-------------------
An event is committed, and only then listeners are looked up, in a later statement; a listener is committed, and only then
stored events are. Whichever comes second finds the other, so none is missed however the two interleave. Each has a mark
that says whether that look was taken; a sweep takes those that a crash has prevented.

A match becomes a row of `deliveries`, once for each listener and event. The turn of the execution settles the row, in the
transaction that stores the turn, as consumed or refused. Messages about it are nudges: a sweep finds rows that stay open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import orjson
import structlog

from common import metrics
from common.contracts.arrivals import EventsArrived, PublishEvents
from common.contracts.base import encode
from common.contracts.executions import ResumeExecution
from common.contracts.replies import Reply
from common.streams import names
from common.streams.connection import REDIS_ERRORS
from common.streams.consumer import Entry
from common.streams.publisher import Outgoing
from orchestrator.answers import refuse
from orchestrator.assemble import Installation
from orchestrator.committing import Assembled
from orchestrator.deliveries import Delivery, Group
from orchestrator.event_rows import stored_event
from orchestrator.ports import Arrival, Bus, DataRefused, NewEvent, StoreAway

log = structlog.get_logger()

ARRIVALS_MAX: Final = 100
"""Events that one turn is offered at most."""

AGE_S: Final = 5.0
"""What is open for so long was left behind."""

PAGE: Final = 500

Told = tuple[UUID, UUID]
"""Organisation and execution."""


class EventStore(Protocol):
    """Each method is a transaction of its own; may raise `StoreAway`."""

    async def keep(self, events: Sequence[NewEvent]) -> int:
        """Commit them; how many were not known before."""
        ...

    async def match(self, events: Sequence[tuple[UUID, bytes]]) -> list[Told]:
        """Offer these events (organisation, fingerprint) to listeners; whose they are."""
        ...

    async def look(self, listeners: Sequence[tuple[UUID, str]]) -> list[Told]:
        """Offer stored events to these listeners; those that were offered any."""
        ...

    async def arrivals(self, executions: Sequence[UUID], limit: int) -> list[Arrival]:
        """What these executions are offered, at most `limit` each, in order."""
        ...

    async def offered(self, executions: Sequence[UUID]) -> list[Told]:
        """Those that are offered anything."""
        ...

    async def unmatched(self, age_s: float, limit: int) -> list[tuple[UUID, bytes]]: ...

    async def unlooked(self, age_s: float, limit: int) -> list[tuple[UUID, str]]: ...

    async def unanswered(self, age_s: float, limit: int) -> list[Told]: ...

    async def body(self, organization_id: UUID, owner_id: UUID, id: UUID) -> bytes | None: ...


class Events:
    def __init__(self, *, store: EventStore, bus: Bus, installation: Installation) -> None:
        self._store = store
        self._bus = bus
        self._installation = installation

    async def publish(self, command: PublishEvents, entry: Entry) -> None:
        """Keep, offer, answer, acknowledge. A crash in between makes it happen again, to the same end."""
        outgoing: list[Outgoing] = []
        try:
            reply = await self._keep(command, outgoing)
        except DataRefused as refused:
            log.warning("events_refused", reason=str(refused))
            detail = "PostgreSQL does not take an event of this request."
            reply = refuse(command, 422, "cannot_be_stored", detail)
        if command.reply_to:
            outgoing.append(Outgoing(command.reply_to, encode(reply)))
        await self._bus.publish(outgoing, [], [entry])

    async def load_arrivals(self, groups: Iterable[Group]) -> None:
        """Give the groups that were nudged, or go on, the events that their executions are offered."""
        asking = {
            group.execution_id: group
            for group in groups
            if group.live is not None
            and group.live.definition.plan.listens
            and any(isinstance(each.message, _ASKING) for each in group.deliveries)
        }
        for group in asking.values():
            group.arrivals = []
        if asking:
            for arrival in await self._store.arrivals(list(asking), ARRIVALS_MAX):
                asking[arrival.execution_id].arrivals.append(arrival)

    async def look_after(self, part: Assembled) -> list[Delivery]:
        """After a commit: who is to be told of what was emitted, and what there is for new and idle listeners."""
        listeners = list(dict.fromkeys((each[0], each[1]) for each in part.write.listeners))
        ready = [group.execution_id for group in part.groups if _is_ready(group)]
        emitted = [(each.organization_id, each.fingerprint) for each in part.write.emitted]
        try:
            told = await self._store.look(listeners) if listeners else []
            told += await self._store.offered(ready) if ready else []
            others = await self._store.match(emitted) if emitted else []
            await self._bus.publish(self._nudges(others), [], [])
        except (StoreAway, *REDIS_ERRORS) as error:
            log.info("events_left_to_be_swept", error=str(error) or type(error).__name__)
            return []
        return [Delivery(_nudge(*each)) for each in dict.fromkeys(told)]

    async def sweep(self) -> int:
        """Take the looks that somebody did not get to, and nudge again."""
        told: list[Told] = []
        if unmatched := await self._store.unmatched(AGE_S, PAGE):
            told += await self._store.match(unmatched)
        if unlooked := await self._store.unlooked(AGE_S, PAGE):
            told += await self._store.look(unlooked)
        told += await self._store.unanswered(AGE_S, PAGE)
        await self._bus.publish(self._nudges(told), [], [])
        return len(told)

    async def _keep(self, command: PublishEvents, outgoing: list[Outgoing]) -> Reply:
        organization = command.organization_id
        events = await self._read(command)
        if events is None:
            detail = "The body of this request is gone. Send the events again."
            return refuse(command, 503, "unavailable", detail, retry_after_s=1)
        rows = [stored_event(organization, event) for event in events]
        known = len(rows) - await self._store.keep(rows)
        told = await self._store.match([(organization, row.fingerprint) for row in rows])
        outgoing += self._nudges(told)
        metrics.EVENTS_KEPT.inc(len(rows) - known)
        return Reply(
            organization_id=organization,
            request_id=command.message_id,
            status=202,
            body={"accepted": len(rows), "known": known},
        )

    async def _read(self, command: PublishEvents) -> list[dict[str, Any]] | None:
        reference = command.events_ref
        if reference is None:
            return command.events
        organization = command.organization_id
        raw = await self._store.body(organization, reference.owner_id, reference.id)
        return None if raw is None else orjson.loads(raw)

    def _nudges(self, told: Iterable[Told]) -> list[Outgoing]:
        return [
            Outgoing(
                names.results(self._installation.partition(execution)),
                encode(_nudge(organization, execution)),
            )
            for organization, execution in dict.fromkeys(told)
        ]


_ASKING = (EventsArrived, ResumeExecution)


def _nudge(organization_id: UUID, execution_id: UUID) -> EventsArrived:
    return EventsArrived(organization_id=organization_id, execution_id=execution_id)


def _is_ready(group: Group) -> bool:
    """Whether it may be offered more: a listener became idle, or answered as many as were offered at once.

    One that is at work leaves them open. It says so when it becomes idle, and must not be asked again until then.
    """
    if group.result is None:
        return False
    effects = group.result.effects
    answered = bool(effects.consumed or effects.refused)
    return bool(effects.idle) or (answered and len(group.arrivals) >= ARRIVALS_MAX)
