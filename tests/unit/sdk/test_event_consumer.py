"""The consumer's loop on a real stream, with a history in memory behind it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from kwe.client.models import Event
from kwe.errors import Unreachable
from kwe.events import EventConsumer, MemoryCursor
from kwe.events.consumer import HandlerFailed
from kwe.events.stream import FIELD, stream_name

ORGANIZATION = "0190b0de-0000-7000-8000-000000000002"


def event(execution: str, sequence: int) -> Event:
    return Event(
        id=f"{execution}/{sequence}",
        type="io.serverlessworkflow.task.created.v1",
        subject=execution,
        sequence=sequence,
    )


class History:
    """What the gateway would answer."""

    def __init__(self, *events: Event) -> None:
        self.events = list(events)
        self.failures = 0

    async def stream(self, execution_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        if self.failures:
            self.failures -= 1
            raise Unreachable("away")
        for one in self.events:
            if one.subject == execution_id and (one.sequence or 0) > after:
                yield one

    async def past_events(self, *, after: str) -> AsyncGenerator[Event, None]:
        assert after
        for one in self.events:
            yield one

    async def close(self) -> None:
        pass


class Kept:
    def __init__(self, fail_at: str = "") -> None:
        self.ids: list[str] = []
        self.fail_at = fail_at
        self.changed = asyncio.Event()

    async def __call__(self, one: Event) -> None:
        if one.id == self.fail_at:
            raise LookupError(one.id)
        self.ids.append(one.id)
        self.changed.set()

    async def until(self, *ids: str) -> None:
        async with asyncio.timeout(10):
            while self.ids != list(ids):
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as opened:
        yield opened


async def publish(redis: Redis, *events: Event) -> None:
    batch = orjson.dumps([one.model_dump(mode="json") for one in events])
    await redis.xadd(stream_name(ORGANIZATION), {FIELD: batch})


def consumer(redis_url: str, kept: Kept, history: Any, cursor: MemoryCursor) -> EventConsumer:
    return EventConsumer(
        kept, redis_url=redis_url, organization_id=ORGANIZATION, client=history, cursor=cursor
    )


@asynccontextmanager
async def running(one: EventConsumer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(one.run())
    await asyncio.wait([asyncio.create_task(one.ready.wait()), task], return_when="FIRST_COMPLETED")
    yield task
    # More than once: `asyncio.wait_for` of Python 3.11, in which redis-py sends, may swallow a cancellation.
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)
    await asyncio.gather(task, return_exceptions=True)


async def test_events_come_in_order_and_once(redis: Redis, redis_url: str) -> None:
    kept = Kept()
    async with running(consumer(redis_url, kept, History(), MemoryCursor())):
        await publish(redis, event("a", 1), event("a", 2))
        await publish(redis, event("a", 2), event("b", 1))
        await publish(redis, event("a", 3))
        await kept.until("a/1", "a/2", "b/1", "a/3")


async def test_a_gap_is_filled_before_what_came_after_it(redis: Redis, redis_url: str) -> None:
    kept = Kept()
    history = History(*(event("a", number) for number in range(1, 5)))
    async with running(consumer(redis_url, kept, history, MemoryCursor())):
        await publish(redis, event("a", 4))
        await kept.until("a/1", "a/2", "a/3", "a/4")


async def test_a_gap_is_filled_later_when_the_history_is_away(redis: Redis, redis_url: str) -> None:
    kept, history = Kept(), History(event("a", 1), event("a", 2))
    history.failures = 2
    async with running(consumer(redis_url, kept, history, MemoryCursor())):
        await publish(redis, event("a", 2), event("b", 1))
        await kept.until("a/1", "a/2", "b/1")


async def test_what_was_flushed_unread_comes_from_the_history(redis: Redis, redis_url: str) -> None:
    cursor, kept = MemoryCursor(), Kept()
    async with running(consumer(redis_url, kept, History(), cursor)):
        await publish(redis, event("a", 1))
        await kept.until("a/1")
    await publish(redis, event("a", 2), event("b", 1))
    await redis.flushall()
    await publish(redis, event("c", 1))
    past = History(event("a", 1), event("a", 2), event("b", 1), event("c", 1))
    async with running(consumer(redis_url, kept, past, cursor)):
        await kept.until("a/1", "c/1", "a/2", "b/1")


async def test_an_event_whose_handler_fails_comes_again(redis: Redis, redis_url: str) -> None:
    cursor, kept = MemoryCursor(), Kept(fail_at="a/2")
    async with running(consumer(redis_url, kept, History(), cursor)) as task:
        await publish(redis, event("a", 1))
        await kept.until("a/1")
        await publish(redis, event("a", 2))
        with pytest.raises(HandlerFailed, match="a/2"):
            await asyncio.wait_for(asyncio.shield(task), 10)
    kept.fail_at = ""
    async with running(consumer(redis_url, kept, History(), cursor)):
        await kept.until("a/1", "a/2")
