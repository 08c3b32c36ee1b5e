"""From streams to whoever handles what arrived: reads the partitions of this replica, decodes, routes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import orjson
import structlog

from common import metrics
from common.contracts.arrivals import PublishEvents
from common.contracts.wire import Unreadable, decode_for_orchestrator
from common.streams import names
from common.streams.connection import REDIS_ERRORS, Link
from common.streams.consumer import Entry, GroupReader
from orchestrator.administration import ADMINISTRATION, Administration
from orchestrator.deliveries import Delivery
from orchestrator.dispatcher import Dispatcher
from orchestrator.events import Events
from orchestrator.notes import NOTES, Notes
from orchestrator.paces import CLAIM_IDLE_MS
from orchestrator.ports import Bus, DataRefused, StoreAway
from orchestrator.storage.administration import DeadLetters

log = structlog.get_logger()

READ_COUNT = 256


def streams_of(partitions: Sequence[int]) -> list[str]:
    """Results first: work in progress finishes before new work starts."""
    return [names.results(each) for each in partitions] + [
        names.commands(each) for each in partitions
    ]


class Intake:
    def __init__(
        self,
        *,
        link: Link,
        instance: str,
        dispatcher: Dispatcher,
        notes: Notes,
        administration: Administration,
        events: Events,
        dead_letters: DeadLetters,
        bus: Bus,
        on_lost: Callable[[], Awaitable[None]],
    ) -> None:
        self._link = link
        self._instance = instance
        self._dispatcher = dispatcher
        self._notes = notes
        self._administration = administration
        self._events = events
        self._dead_letters = dead_letters
        self._bus = bus
        self._on_lost = on_lost
        self._reader: GroupReader | None = None
        self.partitions: tuple[int, ...] = ()

    def read_partitions(self, partitions: Sequence[int]) -> None:
        """From the next read on, these are this replica's."""
        if tuple(partitions) == self.partitions:
            return
        self.partitions = tuple(partitions)
        metrics.PARTITIONS_READ.set(len(self.partitions))
        log.info("partitions_assigned", partitions=list(partitions))
        self._reader = GroupReader(
            self._link,
            streams_of(partitions),
            group=names.ORCHESTRATOR_GROUP,
            consumer=self._instance,
            claim_idle_ms=CLAIM_IDLE_MS,
            block_ms=1000,
            on_lost=self._on_lost,
        )

    async def run(self) -> None:
        """Read for ever; cancelling stops taking work."""
        while True:
            await self._dispatcher.room()
            reader = self._reader
            if reader is None or not reader.streams:
                await asyncio.sleep(0.05)
                continue
            await self._route(await reader.read(READ_COUNT))

    async def _route(self, entries: Sequence[Entry]) -> None:
        deliveries: list[Delivery] = []
        notes: list[tuple[Any, Entry]] = []
        commands: list[tuple[Any, Entry]] = []
        for entry in entries:
            try:
                message = decode_for_orchestrator(entry.raw)
            except Unreadable as error:
                await self._set_aside(entry, str(error))
                continue
            if type(message) in NOTES:
                notes.append((message, entry))
            elif type(message) in ADMINISTRATION or type(message) is PublishEvents:
                commands.append((message, entry))
            else:
                deliveries.append(Delivery(message, entry))
        self._dispatcher.feed(deliveries)
        if notes:
            await self._patiently(lambda: self._note(notes))
        for command, entry in commands:
            await self._patiently(lambda c=command, e=entry: self._carry_out(c, e))  # type: ignore[misc]

    async def _carry_out(self, command: Any, entry: Entry) -> None:
        if type(command) is PublishEvents:
            await self._events.publish(command, entry)
        else:
            await self._administration.handle(command, entry)

    async def _note(self, notes: Sequence[tuple[Any, Entry]]) -> None:
        try:
            self._dispatcher.feed(await self._notes.handle(notes))
        except DataRefused as refused:
            if len(notes) == 1:
                await self._set_aside(notes[0][1], str(refused))
                return
            for each in notes:
                await self._note([each])

    async def _set_aside(self, entry: Entry, reason: str) -> None:
        log.error(
            "message_unreadable", stream=entry.stream, entry_id=entry.id.decode(), reason=reason
        )
        metrics.DEAD_LETTERS.labels(reason="unreadable").inc()

        async def store() -> None:
            await self._dead_letters.add(
                stream=entry.stream,
                entry=entry.raw,
                reason="unreadable",
                detail=reason,
                organization_id=_named(entry.raw, "organization_id"),
                execution_id=_named(entry.raw, "execution_id"),
            )
            await self._bus.publish([], [], [entry])

        await self._patiently(store)

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Repeat while PostgreSQL or Redis is away. What comes in meanwhile waits in the streams."""
        pause_s = 0.1
        while True:
            try:
                await work()
            except (StoreAway, *REDIS_ERRORS) as error:
                log.warning("handling_postponed", error=str(error) or type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 2.0)
            else:
                return


def _named(raw: bytes, field: str) -> UUID | None:
    """Whom an unreadable message is about, where that much can be read: they see it among their dead letters."""
    try:
        return UUID(orjson.loads(raw)[field])
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
