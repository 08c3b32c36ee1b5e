"""What is done when a backup was put back, and Redis may hold more than the database has lived through.

Theory of operation
-------------------
`kwe restore` leaves a mark in PostgreSQL: a new generation that nobody has begun yet. The first orchestrator to start
sees it before it reads anything; a lock in PostgreSQL keeps the others waiting until it is done. What Redis holds may be
of a time that is undone, so every entry is looked at once:

- A **result** stays if the database waits for that very try and has the body that the result refers to: the work was
  done, and need not be done twice. Any other is foreign: its task is not open yet, or never will be, or its output was
  stored in a database that is no more.
- A **command** stays unless it refers to a body that is gone. It was never accepted, and accepting it is right in any
  database.
- A **task** goes: those that are open are published again, and no others may run. Their claims go with them.
- **Events** go: consumers find a new generation, and fill the gap from PostgreSQL.

Then the generation begins, as after a loss of Redis, and the mark is removed. A crash in between starts over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from common.contracts.arrivals import PublishEvents
from common.contracts.base import Message, PayloadReference
from common.contracts.executions import StartExecution
from common.contracts.knowledge import AddDocuments
from common.contracts.tasks import (
    TaskClaim,
    TaskFailed,
    TaskHeartbeat,
    TaskRequested,
    TaskSucceeded,
    WorkerLost,
)
from common.contracts.wire import Unreadable, decode_for_orchestrator, decode_task
from common.streams import names
from common.streams.connection import Link
from common.streams.consumer import ensure_groups
from common.streams.publisher import acknowledge
from orchestrator.generation import Generation

log = structlog.get_logger()

PAGE: Final = 500
WAIT_S: Final = 0.5
BUILT_IN_QUEUES: Final = (
    *("http", "llm", "default"),
    *("knowledge.search", "knowledge.ingest", "knowledge.maintain"),
)

_Told = TaskSucceeded | TaskFailed | TaskHeartbeat | WorkerLost | TaskClaim


class KnownToDatabase(Protocol):
    """May raise `StoreAway`."""

    async def open_tasks(self, tries: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]: ...

    async def stored(self, references: Sequence[PayloadReference]) -> set[UUID]: ...

    async def queues(self) -> list[str]: ...


class Mark(Protocol):
    """Where PostgreSQL keeps the generation."""

    def alone(self) -> AbstractAsyncContextManager[bool]: ...

    async def settled_generation(self) -> str: ...

    async def settle_generation(self, generation: str) -> None: ...

    async def organizations(self) -> list[UUID]: ...


class Republishing(Protocol):
    async def publish_again(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of a stream, and what it says; None where it cannot be read: that is for its reader to deal with."""

    id: bytes
    message: Message | None


class Restoration:
    def __init__(
        self,
        *,
        link: Link,
        known: KnownToDatabase,
        mark: Mark,
        republishing: Republishing,
        generation: Generation,
        partitions: int,
    ) -> None:
        self._link = link
        self._known = known
        self._mark = mark
        self._republishing = republishing
        self._generation = generation
        self._partitions = partitions

    async def complete(self) -> None:
        """Return once no mark is left. To be called before anything is read."""
        while (await self._mark.settled_generation()).startswith(names.RESTORED):
            async with self._mark.alone() as alone:
                if alone:
                    await self._begin()
                    continue
            await asyncio.sleep(WAIT_S)

    async def _begin(self) -> None:
        mark = await self._mark.settled_generation()
        if not mark.startswith(names.RESTORED):
            return
        generation = mark.removeprefix(names.RESTORED)
        dropped = await self._drop_foreign()
        await self._link.call(b"SET", names.GENERATION_KEY, generation)
        self._generation.current = generation
        published = await self._republishing.publish_again()
        await self._mark.settle_generation(generation)
        log.warning("backup_restored", foreign=dict(dropped), published_again=published)

    async def _drop_foreign(self) -> Counter[str]:
        """How many entries of each kind of stream went."""
        dropped: Counter[str] = Counter()
        group = names.ORCHESTRATOR_GROUP
        for kind, of in (("results", names.results), ("commands", names.commands)):
            streams = [of(partition) for partition in range(self._partitions)]
            # Made here, they are no loss that somebody would notice later.
            await ensure_groups(self._link, streams, group)
            for stream in streams:
                dropped[kind] += await self._sift(stream, group, _for_orchestrator)
        # Queues and organisations that the database knows, and those that it does not know any more.
        found = [names.queue_of(each) async for each in self._scan(names.ALL_TASKS)]
        for queue in sorted({*found, *BUILT_IN_QUEUES, *await self._known.queues()}):
            stream = names.tasks(queue)
            dropped["tasks"] += await self._sift(stream, names.EXECUTOR_GROUP, _for_executor)
            await self._forget_claims(queue)
        feeds = {names.events(each) for each in await self._mark.organizations()}
        for feed in feeds | {each async for each in self._scan(names.ALL_EVENTS)}:
            dropped["events"] += await self._link.call(b"XTRIM", feed, b"MAXLEN", 0)
        return dropped

    async def _sift(self, stream: str, group: str, read: Any) -> int:
        dropped = 0
        async for page in self._pages(stream, read):
            foreign = await self._foreign(page)
            if foreign:
                await self._link.pipeline(acknowledge(stream, group, foreign))
                dropped += len(foreign)
        return dropped

    async def _pages(self, stream: str, read: Any) -> AsyncIterator[list[Found]]:
        after = b"-"
        while True:
            entries = await self._link.call(b"XRANGE", stream, after, b"+", b"COUNT", PAGE)
            if not entries:
                return
            after = b"(" + entries[-1][0]
            yield [Found(id, read(fields[1])) for id, fields in entries]

    async def _foreign(self, page: Sequence[Found]) -> list[bytes]:
        messages = [each.message for each in page if each.message is not None]
        stored = await self._known.stored([one for each in messages for one in _references(each)])
        tries = [(each.execution_id, each.key) for each in messages if isinstance(each, _Told)]
        awaited = await self._known.open_tasks(tries)
        return [each.id for each in page if _is_foreign(each.message, awaited, stored)]

    async def _forget_claims(self, queue: str) -> None:
        """Who had a task, or that it was cancelled, is of the time that is undone too."""
        async for key in self._scan(names.claims(queue)):
            await self._link.call(b"DEL", key)

    async def _scan(self, pattern: str) -> AsyncIterator[str]:
        cursor = b"0"
        while True:
            cursor, keys = await self._link.call(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", PAGE)
            for key in keys:
                yield key.decode()
            if cursor == b"0":
                return


def _for_orchestrator(raw: bytes) -> Message | None:
    try:
        message: Message = decode_for_orchestrator(raw)
    except Unreadable:
        return None
    return message


def _for_executor(raw: bytes) -> Message | None:
    try:
        message: Message = decode_task(raw)
    except Unreadable:
        return None
    return message


def _references(message: Message) -> Iterator[PayloadReference]:
    match message:
        case TaskSucceeded(output_ref=PayloadReference() as reference):
            yield reference
        case StartExecution(input_ref=PayloadReference() as reference):
            yield reference
        case PublishEvents(events_ref=PayloadReference() as reference):
            yield reference
        case AddDocuments(documents_ref=PayloadReference() as reference):
            yield reference
        case _:
            return


def _is_foreign(message: Message | None, awaited: set[tuple[UUID, str]], stored: set[UUID]) -> bool:
    match message:
        case None:
            return False
        case TaskRequested():
            return True
        case _ if isinstance(message, _Told) and (message.execution_id, message.key) not in awaited:
            return True
        case _:
            return any(each.id not in stored for each in _references(message))
