"""How long streams wait to be read, as Redis itself says it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from common.streams.connection import Link
from orchestrator.redis_view import waiting_seconds

STREAM, GROUP = "kwe:tasks:{q:gauges}", "executor"


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    link = Link(redis_url)
    yield link
    await link.close()


async def add(link: Link, *, age_s: float) -> None:
    """One entry that has been there for so long."""
    await link.call(b"XADD", STREAM, f"{int((time.time() - age_s) * 1000)}-0", b"m", b"x")


async def read_one(link: Link) -> None:
    await link.call(b"XREADGROUP", b"GROUP", GROUP, b"me", b"COUNT", 1, b"STREAMS", STREAM, b">")


async def waits(link: Link) -> float:
    found = await waiting_seconds(link, [STREAM])
    return round(found.get(STREAM, 0.0), -1)


async def test_the_oldest_entry_that_nobody_has_read_counts(link: Link) -> None:
    await link.call(b"XGROUP", b"CREATE", STREAM, GROUP, b"0", b"MKSTREAM")
    await add(link, age_s=300)
    await add(link, age_s=100)
    assert await waits(link) == 300
    await read_one(link)
    assert await waits(link) == 100, "what is at work does not wait"
    await read_one(link)
    assert await waits(link) == 0


async def test_a_queue_that_never_had_a_worker_waits_too(link: Link) -> None:
    await add(link, age_s=200)
    assert await waits(link) == 200


async def test_streams_that_do_not_exist_are_left_out(link: Link) -> None:
    assert await waiting_seconds(link, ["kwe:tasks:{q:none}"]) == {}
    assert await waiting_seconds(link, []) == {}
