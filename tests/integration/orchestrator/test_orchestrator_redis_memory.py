"""A full Redis: the events feeds make room by themselves, whatever filled them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from common.ids import uuid7
from common.streams import names
from common.streams.connection import Link
from common.streams.consumer import ensure_groups
from embedded import EmbeddedValkey
from orchestrator.housekeeping import FEEDS_SHARE, Housekeeping, fair_share
from orchestrator.windows import QueueWindows

MEMORY = 40 * 2**20


class Store:
    def __init__(self, organizations: list[UUID]) -> None:
        self._organizations = organizations

    async def organizations(self) -> list[UUID]:
        return self._organizations


@pytest.fixture
async def full(server_folder: Path, ports: Any) -> AsyncIterator[Link]:
    """A server of its own, with little memory."""
    server = EmbeddedValkey(
        ports.keep_for(server_folder / "full-valkey"), settings={"maxmemory": str(MEMORY)}
    )
    await server.start()
    link = Link(server.url)
    yield link
    await link.close()
    await server.stop()


async def fill(link: Link, organization: UUID, size: int, count: int) -> list[Any]:
    feed = names.events(organization)
    return await link.pipeline([(b"XADD", feed, b"*", b"m", b"x" * size)] * count)


async def test_the_feed_that_fills_redis_is_cut_and_small_ones_are_not(full: Link) -> None:
    small, flood = uuid7(), uuid7()
    store: Any = Store([small, flood, uuid7()])
    housekeeping = Housekeeping(
        store=store,
        link=full,
        windows=QueueWindows(10),
        partitions=1,
        events_retention_s=3600,
        retention_days=0,
    )
    await fill(full, small, 300, 50)
    # First small entries, then those of a loop without a pause, until nothing can be written any more.
    await fill(full, flood, 300, 500)
    refused = [
        reply for reply in await fill(full, flood, 500_000, 100) if not isinstance(reply, bytes)
    ]
    assert refused

    await housekeeping.relieve()

    assert await full.call(b"XLEN", names.events(small)) == 50
    assert 0 < await full.call(b"XLEN", names.events(flood)) < 100
    used = await full.call(b"MEMORY", b"USAGE", names.events(flood), b"SAMPLES", 0)
    assert used < 2 * FEEDS_SHARE * MEMORY
    assert isinstance(await full.call(b"XADD", "kwe:tests:work", b"*", b"m", b"work"), bytes)


def test_what_small_ones_leave_is_for_the_others() -> None:
    assert fair_share([], 100) == float("inf")
    assert fair_share([10, 20], 100) == float("inf")
    assert fair_share([10, 500, 500], 100) == 45
    assert fair_share([500, 500], 100) == 50


async def test_replicas_that_are_long_gone_are_forgotten_unless_they_left_work_behind(
    full: Link,
) -> None:
    stream, group = names.results(0), names.ORCHESTRATOR_GROUP
    await ensure_groups(full, [stream], group)
    await full.call(b"XADD", stream, b"*", b"m", b"x")
    for replica in ("left-work", "idle"):
        read = (b"XREADGROUP", b"GROUP", group, replica, b"COUNT", 1, b"STREAMS", stream, b">")
        await full.call(*read)
    arguments: dict[str, Any] = {
        "store": Store([]),
        "link": full,
        "windows": QueueWindows(10),
        "partitions": 2,
        "events_retention_s": 3600,
        "retention_days": 0,
    }

    async def consumers() -> set[bytes]:
        rows = await full.call(b"XINFO", b"CONSUMERS", stream, group)
        return {dict(zip(row[::2], row[1::2], strict=True))[b"name"] for row in rows}

    await Housekeeping(**arguments).forget_replicas()
    assert await consumers() == {b"left-work", b"idle"}

    await Housekeeping(**arguments, forget_after_ms=0).forget_replicas()
    assert await consumers() == {b"left-work"}
