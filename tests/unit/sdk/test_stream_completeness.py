"""Whether a stream still has everything is told from its own count, on a real Valkey."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from kwe.events.cursor import Cursor
from kwe.events.stream import COUNT, FIELD, EventStream, stream_name

ORGANIZATION = "0190b0de-0000-7000-8000-000000000001"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, protocol=2) as opened:
        yield opened


async def publish(redis: Redis, count: int, **more: Any) -> None:
    for number in range(count):
        event = {"id": f"e/{number}", "type": "t", "subject": "e", "sequence": number + 1}
        fields = {FIELD: orjson.dumps([event])}
        await redis.xadd(stream_name(ORGANIZATION), fields, **more)


async def opened(redis: Redis, cursor: Cursor | None = None) -> tuple[EventStream, Cursor]:
    cursor = cursor or Cursor()
    stream = EventStream(redis, ORGANIZATION, cursor)
    await stream.go_to_end()
    return stream, cursor


async def test_what_is_read_in_full_is_whole(redis: Redis) -> None:
    await publish(redis, 3)
    stream, _ = await opened(redis)
    await publish(redis, 2)
    batch = await stream.read()
    assert [event.sequence for _, events in batch.entries for event in events] == [1, 2]
    assert batch.is_whole is True


async def test_entries_trimmed_before_they_were_read_are_missed(redis: Redis) -> None:
    stream, _ = await opened(redis)
    await publish(redis, 5)
    await redis.xtrim(stream_name(ORGANIZATION), maxlen=2, approximate=False)
    assert (await stream.read()).is_whole is False


async def test_entries_trimmed_after_they_were_read_are_not(redis: Redis) -> None:
    stream, _ = await opened(redis)
    await publish(redis, 5)
    assert (await stream.read()).is_whole is True
    await redis.xtrim(stream_name(ORGANIZATION), maxlen=1, approximate=False)
    await publish(redis, 1)
    assert (await stream.read()).is_whole is True


async def test_a_flush_is_noticed_once(redis: Redis) -> None:
    stream, _ = await opened(redis)
    await publish(redis, 4)
    await stream.read()
    await redis.flushall()
    await publish(redis, 1)
    assert (await stream.read()).is_whole is False
    await publish(redis, 1)
    assert (await stream.read()).is_whole is True


async def test_a_flush_during_which_as_many_came_as_had_been_read_shows_in_the_generation(
    redis: Redis,
) -> None:
    await redis.set("kwe:generation", "one")
    stream, _ = await opened(redis)
    await publish(redis, 2)
    await stream.read()
    await redis.flushall()
    await redis.set("kwe:generation", "two")
    await publish(redis, 2)
    assert (await stream.read()).is_whole is False


async def test_a_stream_whose_ids_begin_lower_is_read_from_its_start(redis: Redis) -> None:
    stream, cursor = await opened(redis)
    await publish(redis, 1)
    await stream.read()
    await redis.flushall()
    await publish(redis, 1, id="5-1")
    assert (await stream.read()).is_whole is False
    assert cursor.stream_id == "0-0"
    assert len((await stream.read()).entries) == 1


async def test_it_is_not_judged_before_it_has_caught_up(redis: Redis) -> None:
    stream, _ = await opened(redis)
    await publish(redis, COUNT + 1)
    assert (await stream.read()).is_whole is None
    assert (await stream.read()).is_whole is True
