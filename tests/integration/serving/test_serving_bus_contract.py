"""One law for both buses: what the simulation plays on in memory holds on a real server."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import pytest

from common.serving.claims import Claim, Verdict
from common.serving.memory_bus import MemoryBus, MemoryQueue
from common.serving.ports import Bus, Delivery
from common.serving.redis_bus import RedisBus
from common.streams import names
from common.streams.connection import Link
from common.streams.publisher import Outgoing, Publisher

QUEUE = "contract"
LEASE_MS = 600


class World(Protocol):
    """A queue, and how a test reaches into it."""

    def bus(self, consumer: str) -> Bus: ...
    async def add(self, raw: bytes) -> str: ...
    async def cancel(self, claim: Claim) -> None: ...
    async def value(self, claim: Claim) -> str | None: ...
    async def wipe(self) -> None: ...
    async def pass_time(self, ms: int) -> None: ...
    async def entries(self) -> int: ...
    async def close(self) -> None: ...


@dataclass
class InMemory:
    now_ms: int = 1_000_000
    queue: MemoryQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = MemoryQueue(lambda: self.now_ms, lease_ms=LEASE_MS)

    def bus(self, consumer: str) -> Bus:
        return MemoryBus(self.queue, consumer)

    async def add(self, raw: bytes) -> str:
        return self.queue.add(raw)

    async def cancel(self, claim: Claim) -> None:
        self.queue.cancel(claim.key)

    async def value(self, claim: Claim) -> str | None:
        return self.queue.value(claim.key)

    async def wipe(self) -> None:
        self.queue.wipe()

    async def pass_time(self, ms: int) -> None:
        self.now_ms += ms

    async def entries(self) -> int:
        return len(self.queue.entries)

    async def close(self) -> None:
        pass


class OnRedis:
    def __init__(self, url: str) -> None:
        self._url = url
        self._link = Link(url)
        self._publisher = Publisher(self._link)
        self._buses: list[RedisBus] = []

    def bus(self, consumer: str) -> Bus:
        bus = RedisBus(
            QUEUE,
            consumer=consumer,
            redis_url=self._url,
            publisher=self._publisher,
            lease_ms=LEASE_MS,
        )
        self._buses.append(bus)
        return bus

    async def add(self, raw: bytes) -> str:
        (entry_id,) = await self._publisher.publish([Outgoing(names.tasks(QUEUE), raw)])
        return entry_id

    async def cancel(self, claim: Claim) -> None:
        await self._link.call("SET", claim.key, "cancelled", "PX", LEASE_MS)

    async def value(self, claim: Claim) -> str | None:
        raw = await self._link.call("GET", claim.key)
        return raw.decode() if raw is not None else None

    async def wipe(self) -> None:
        await self._link.call("FLUSHALL")

    async def pass_time(self, ms: int) -> None:
        # The idle time of entries is Redis's own; DEBUG cannot shift it, so the server's clock has to go on.
        await self._link.call("BLPOP", "nothing-is-ever-put-here", ms / 1000)

    async def entries(self) -> int:
        return int(await self._link.call("XLEN", names.tasks(QUEUE)))

    async def close(self) -> None:
        for bus in self._buses:
            await bus.close()
        await self._link.close()


@pytest.fixture(params=["memory", "redis"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    built: World = (
        InMemory() if request.param == "memory" else OnRedis(request.getfixturevalue("redis_url"))
    )
    yield built
    await built.close()


def claim_on(entry_id: str, key: str = "a", generation: str = "") -> Claim:
    return Claim(entry_id, names.claim(QUEUE, key, 1), generation)


async def read_one(bus: Bus) -> str:
    for _ in range(20):
        if entries := await bus.read(1):
            return entries[0].id
    raise AssertionError("nothing to read")


async def test_what_was_added_before_anybody_listened_is_read(world: World) -> None:
    added = await world.add(b"early")
    (entry,) = await world.bus("one").read(10)
    assert (entry.id, entry.raw, entry.claimed) == (added, b"early", False)


async def test_no_more_entries_are_read_than_asked_for(world: World) -> None:
    for _ in range(3):
        await world.add(b"x")
    assert len(await world.bus("one").read(2)) == 2


async def test_the_first_reader_gets_the_claim(world: World) -> None:
    bus = world.bus("one")
    await world.add(b"x")
    claim = claim_on(await read_one(bus))
    assert await bus.claim([claim]) == [Verdict.FRESH]
    assert await world.value(claim) == f"{claim.entry_id}|one"


async def test_a_second_entry_for_a_claimed_try_is_removed(world: World) -> None:
    bus = world.bus("one")
    first, second = await world.add(b"x"), await world.add(b"x")
    await bus.read(2)
    assert await bus.claim([claim_on(first), claim_on(second)]) == [
        Verdict.FRESH,
        Verdict.DUPLICATE,
    ]
    assert await world.entries() == 1


async def test_a_cancelled_try_is_removed(world: World) -> None:
    bus = world.bus("one")
    await world.add(b"x")
    claim = claim_on(await read_one(bus))
    await world.cancel(claim)
    assert await bus.claim([claim]) == [Verdict.CANCELLED]
    assert await world.entries() == 0


async def test_an_abandoned_entry_is_taken_over_with_its_claim(world: World) -> None:
    dead, alive = world.bus("dead"), world.bus("alive")
    await world.add(b"x")
    claim = claim_on(await read_one(dead))
    await dead.claim([claim])
    await world.pass_time(LEASE_MS + 50)
    (entry,) = [one for one in await reads(alive) if one.claimed]
    assert entry.id == claim.entry_id
    assert await alive.claim([claim]) == [Verdict.TAKEN_OVER]
    assert await dead.refresh([claim]) == [False]
    assert await world.entries() == 1


async def reads(bus: Bus) -> list[Delivery]:
    for _ in range(10):
        if entries := await bus.read(5):
            return list(entries)
    return []


async def test_a_refreshed_entry_is_not_taken_over(world: World) -> None:
    owner = world.bus("owner")
    await world.add(b"x")
    claim = claim_on(await read_one(owner))
    await owner.claim([claim])
    for _ in range(3):
        await world.pass_time(LEASE_MS // 2)
        assert await owner.refresh([claim]) == [True]
    assert await world.value(claim) == f"{claim.entry_id}|owner"


async def test_a_live_owner_takes_its_claim_again_after_a_wipe(world: World) -> None:
    owner, other = world.bus("owner"), world.bus("other")
    await world.add(b"x")
    claim = claim_on(await read_one(owner))
    await owner.claim([claim])
    await world.wipe()
    assert await owner.refresh([claim]) == [True]
    again = await world.add(b"x")
    await reads(other)
    assert await other.claim([claim_on(again)]) == [Verdict.DUPLICATE]


async def test_a_cancelled_try_stops_at_the_next_refresh_and_its_entry_goes(world: World) -> None:
    bus = world.bus("one")
    await world.add(b"x")
    claim = claim_on(await read_one(bus))
    await bus.claim([claim])
    await world.cancel(claim)
    assert await bus.refresh([claim]) == [False]
    assert await world.entries() == 0


async def test_a_settled_try_is_not_run_again_for_a_lease(world: World) -> None:
    bus = world.bus("one")
    await world.add(b"x")
    claim = claim_on(await read_one(bus))
    await bus.claim([claim])
    await bus.settle([claim])
    assert await world.entries() == 0
    again = await world.add(b"x")
    await reads(bus)
    assert await bus.claim([claim_on(again)]) == [Verdict.DUPLICATE]


async def test_a_settled_try_runs_again_in_another_generation(world: World) -> None:
    bus = world.bus("one")
    await world.add(b"x")
    claim = claim_on(await read_one(bus), generation="g1")
    await bus.claim([claim])
    await bus.settle([claim])
    again = await world.add(b"x")
    await reads(bus)
    assert await bus.claim([claim_on(again, generation="g2")]) == [Verdict.FRESH]


async def test_a_remainder_of_an_earlier_generation_is_removed(world: World) -> None:
    bus = world.bus("one")
    await world.add(b"x")
    claim = replace(claim_on(await read_one(bus), generation="g1"), is_stale=True)
    assert await bus.claim([claim]) == [Verdict.DUPLICATE]
    assert await world.value(claim) is None
    assert await world.entries() == 0


async def test_a_remainder_that_the_claim_names_is_taken_over(world: World) -> None:
    """Its owner died after the entry that was published again had been dropped as a duplicate of it."""
    dead, alive = world.bus("dead"), world.bus("alive")
    await world.add(b"x")
    abandoned = claim_on(await read_one(dead), generation="g1")
    assert await dead.claim([abandoned]) == [Verdict.FRESH]
    await world.add(b"x")
    again = claim_on(await read_one(alive), generation="g2")
    assert await alive.claim([again]) == [Verdict.DUPLICATE]

    await world.pass_time(LEASE_MS + 50)
    assert await read_one(alive) == abandoned.entry_id
    assert await alive.claim([replace(abandoned, is_stale=True)]) == [Verdict.TAKEN_OVER]
    assert await world.entries() == 1


async def test_leaving_hands_back_what_is_unfinished_at_once(world: World) -> None:
    leaving, other = world.bus("leaving"), world.bus("other")
    await world.add(b"x")
    claim = claim_on(await read_one(leaving))
    await leaving.claim([claim])
    await leaving.leave([claim])
    (entry,) = await reads(other)
    assert not entry.claimed
    assert await other.claim([claim_on(entry.id)]) == [Verdict.FRESH]


async def test_the_other_claim_is_untouched_by_who_leaves_late(world: World) -> None:
    late, other = world.bus("late"), world.bus("other")
    await world.add(b"x")
    claim = claim_on(await read_one(late))
    await late.claim([claim])
    await world.pass_time(LEASE_MS + 50)
    await reads(other)
    await other.claim([claim])
    await late.leave([claim])
    assert await world.value(claim) == f"{claim.entry_id}|other"
    assert await world.entries() == 1


async def test_published_messages_arrive(world: World) -> None:
    bus = world.bus("one")
    await bus.publish([(names.tasks(QUEUE), uuid.uuid4().bytes)])
