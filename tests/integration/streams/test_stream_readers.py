"""The delivery rules of consumer groups, on a real server."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from common.streams import names
from common.streams.connection import Link
from common.streams.consumer import GroupReader
from common.streams.publisher import Outgoing, Publisher

STREAM = "kwe:tests:{reader}"


@pytest.fixture
async def link(redis_url: str) -> AsyncGenerator[Link]:
    link = Link(redis_url)
    yield link
    await link.close()


def reader_of(link: Link, consumer: str, *, claim_idle_ms: int) -> GroupReader:
    return GroupReader(
        link, [STREAM], group="g", consumer=consumer, claim_idle_ms=claim_idle_ms, block_ms=1
    )


async def test_abandoned_entries_are_found_behind_any_number_that_are_at_work(link: Link) -> None:
    publisher = Publisher(link)
    busy = reader_of(link, "busy", claim_idle_ms=600_000)
    dead = reader_of(link, "dead", claim_idle_ms=600_000)
    await publisher.publish([Outgoing(STREAM, b"at work")] * 200)
    held = await busy.read(200)
    await publisher.publish([Outgoing(STREAM, b"abandoned")])
    assert [entry.raw for entry in await dead.read(1)] == [b"abandoned"]

    successor = reader_of(link, "successor", claim_idle_ms=200)
    found: list[bytes] = []
    async with asyncio.timeout(10):
        while not found:
            await asyncio.sleep(0.02)
            ids = [entry.id for entry in held]
            await link.call(b"XCLAIM", STREAM, "g", "busy", 0, *ids, b"JUSTID")
            # One free slot: it asks for one entry at a time.
            found = [entry.raw for entry in await successor.read(1)]
    assert found == [b"abandoned"]


async def test_a_heap_of_abandoned_entries_is_taken_over_without_pauses(link: Link) -> None:
    await Publisher(link).publish([Outgoing(STREAM, b"abandoned")] * 50)
    assert len(await reader_of(link, "dead", claim_idle_ms=600_000).read(50)) == 50
    successor = reader_of(link, "successor", claim_idle_ms=1_000)
    claimed = 0
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        while claimed == 0:
            claimed += len(await successor.read(5))
        began = loop.time()
        while claimed < 50:
            claimed += len(await successor.read(5))
    assert loop.time() - began < 1


async def test_replies_to_a_process_that_is_gone_do_not_stay(link: Link) -> None:
    stream = names.replies("gone")
    await Publisher(link).publish([Outgoing(stream, b"{}"), Outgoing(STREAM, b"work")])
    assert 0 < await link.call(b"PTTL", stream) <= 60_000
    assert await link.call(b"PTTL", STREAM) == -1


async def test_an_answer_does_not_shorten_the_life_of_a_reply_stream(link: Link) -> None:
    stream = names.replies("alive")
    publisher = Publisher(link)
    await publisher.publish([Outgoing(stream, b"{}")])
    await link.call(b"PEXPIRE", stream, 100_000)
    await publisher.publish([Outgoing(stream, b"{}")])
    assert await link.call(b"PTTL", stream) > 60_000
