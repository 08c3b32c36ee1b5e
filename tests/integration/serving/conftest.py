"""A queue on a real server, servers of it, and a test's view of what comes out."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from common.contracts.base import Message, encode
from common.contracts.replies import Reply
from common.contracts.tasks import TaskClaim, TaskRequested
from common.contracts.wire import decode_for_orchestrator
from common.ids import uuid7
from common.serving.ports import Handler
from common.serving.server import TaskServer
from common.serving.store import PayloadStore
from common.settings.groups import LeaseSettings
from common.streams import names
from common.streams.connection import Link
from common.streams.publisher import Outgoing, Publisher
from common.streams.requests import Requester

QUEUE = "work"
PARTITION = 3
ORGANIZATION = UUID(int=7)
PATIENCE_S = 20


@dataclass
class Desk:
    """The orchestrator's side of one queue."""

    url: str
    pool: Any
    link: Link = field(init=False)
    publisher: Publisher = field(init=False)
    requester: Requester = field(init=False)
    lease: LeaseSettings = field(
        default_factory=lambda: LeaseSettings(
            task_lease=timedelta(seconds=1.2), refresh_interval=timedelta(seconds=0.2)
        )
    )

    def __post_init__(self) -> None:
        self.link, self._publishing = Link(self.url), Link(self.url)
        self._replies = Link(self.url, timeout_s=10)
        self.publisher = Publisher(self._publishing)
        self.requester = Requester(self.publisher, self._replies, instance=uuid4().hex)

    async def close(self) -> None:
        for link in (self.link, self._publishing, self._replies):
            await link.close()

    async def until(self, condition: Callable[[], Awaitable[Any]], *, what: str = "a fact") -> Any:
        """Wait for a fact; its value."""
        give_up_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < give_up_at:
            if value := await condition():
                return value
            await asyncio.sleep(0.02)
        raise AssertionError(f"waited in vain for {what}")

    def task(self, function: str = "echo:1.0.0", **changes: Any) -> TaskRequested:
        fields: dict[str, Any] = {
            "organization_id": ORGANIZATION,
            "execution_id": uuid7(),
            "key": "0/1",
            "task_id": uuid4(),
            "attempt": 1,
            "function": function,
            "workflow_id": "tests/serving",
            "name": "step",
            "reference": "/do/0/step",
            "partition": PARTITION,
            "input": {"n": 1},
        }
        return TaskRequested(**(fields | changes))

    async def send(self, *tasks: Message) -> list[str]:
        stream = names.tasks(QUEUE)
        return await self.publisher.publish([Outgoing(stream, encode(one)) for one in tasks])

    async def results(self) -> list[Any]:
        raw = await self.link.call("XRANGE", names.results(PARTITION), "-", "+")
        return [decode_for_orchestrator(fields[1]) for _, fields in raw]

    async def result(self, kind: type[Message], *, count: int = 1) -> Any:
        async def enough() -> list[Any] | None:
            found = [one for one in await self.results() if isinstance(one, kind)]
            return found if len(found) >= count else None

        found = await self.until(enough, what=f"{count} {kind.__name__}")
        return found[0] if count == 1 else found

    async def outstanding(self) -> int:
        return int(await self.link.call("XLEN", names.tasks(QUEUE)))

    async def settled(self) -> None:
        async def nothing_left() -> bool:
            return await self.outstanding() == 0

        await self.until(nothing_left, what="an empty queue")

    async def cancel(self, task: TaskRequested) -> None:
        key = names.claim(QUEUE, task.task_id, task.attempt)
        await self.link.call("SET", key, "cancelled", "PX", 30_000)
        mark = f"{task.task_id}:{task.attempt}"
        await self.link.call("PUBLISH", names.cancel_channel(QUEUE), mark)

    async def grant(self, status: int) -> TaskClaim:
        """Answer the question for permission that is on the results stream."""
        claim: TaskClaim = await self.result(TaskClaim)
        reply = Reply(
            organization_id=claim.organization_id, request_id=claim.message_id, status=status
        )
        await self.publisher.publish([Outgoing(claim.reply_to, encode(reply))])
        return claim

    def server(
        self, functions: Mapping[str, Handler], *, name: str = "", slots: int = 8, **more: Any
    ) -> TaskServer:
        return TaskServer(
            queues=[QUEUE],
            slots=slots,
            functions=functions,
            redis_url=self.url,
            instance=name or uuid4().hex,
            publisher=self.publisher,
            requester=self.requester,
            store=PayloadStore(self.pool),
            lease=self.lease,
            **more,
        )

    @asynccontextmanager
    async def serving(
        self, functions: Mapping[str, Handler], *, drain_s: float = 5, **more: Any
    ) -> AsyncIterator[TaskServer]:
        server = self.server(functions, **more)
        async with self.requester.running(), server.running(drain_s=drain_s):
            yield server


@pytest.fixture
async def desk(redis_url: str, database: str) -> AsyncIterator[Desk]:
    pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
    built = Desk(redis_url, pool)
    yield built
    await built.close()
    await pool.close()
