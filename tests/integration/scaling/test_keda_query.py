"""The query that autoscaling rests on, run against real streams with real groups while work comes and goes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
from keda_model import UNKNOWN, query, replicas, scaled_object
from redis.asyncio import Redis

from common.contracts.base import encode
from common.contracts.tasks import TaskRequested
from common.ids import uuid7
from common.serving.server import TaskServer
from common.settings.groups import LeaseSettings
from common.streams import names
from common.streams.connection import Link
from common.streams.consumer import GroupReader
from common.streams.publisher import Outgoing, Publisher, acknowledge
from common.streams.requests import Requester

PARTITIONS = 8
SLOTS = 4
PATIENCE_S = 20

POOL = scaled_object("pools/scaling/executor.yaml")
QUEUE = "default"
STREAM = names.tasks(QUEUE)
BY_LAG = {"stream": STREAM, "consumerGroup": names.EXECUTOR_GROUP, "lagCount": "48"}


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not await condition():
        assert time.monotonic() < give_up_at, "waited in vain"
        await asyncio.sleep(0.02)


class Gates:
    """A function whose calls end when the test says so."""

    def __init__(self) -> None:
        self.open: dict[int, asyncio.Event] = {}

    async def __call__(self, value: Any, _context: Any) -> Any:
        gate = self.open.setdefault(value["n"], asyncio.Event())
        await gate.wait()
        return value

    async def have_started(self, number: int) -> bool:
        return len(self.open) == number

    def let_through(self, number: int) -> None:
        self.open[number].set()

    def let_everything_through(self) -> None:
        for gate in self.open.values():
            gate.set()


class NoStore:
    """Small inputs and results travel in their messages."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing here is large, yet {name} was asked for")


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def publisher(redis_url: str) -> AsyncIterator[Publisher]:
    link = Link(redis_url)
    yield Publisher(link)
    await link.close()


@asynccontextmanager
async def executor(redis_url: str, publisher: Publisher, gates: Gates) -> AsyncIterator[TaskServer]:
    replies = Link(redis_url, timeout_s=10)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(replies.close)
        server = TaskServer(
            queues=[QUEUE],
            slots=SLOTS,
            functions={"gated:1.0.0": gates},
            redis_url=redis_url,
            instance=uuid4().hex,
            publisher=publisher,
            requester=Requester(publisher, replies, instance=uuid4().hex),
            store=NoStore(),
            lease=LeaseSettings(
                task_lease=timedelta(seconds=30), refresh_interval=timedelta(seconds=5)
            ),
        )
        await stack.enter_async_context(server.running(drain_s=0.2))
        yield server


def task(number: int) -> Outgoing:
    message = TaskRequested(
        organization_id=UUID(int=7),
        execution_id=uuid7(),
        key="0/1",
        task_id=uuid4(),
        attempt=1,
        function="gated:1.0.0",
        workflow_id="tests/scaling",
        name="step",
        reference="/do/0/step",
        partition=0,
        input={"n": number},
    )
    return Outgoing(STREAM, encode(message))


async def test_tasks_wake_a_pool_that_never_ran_and_it_sleeps_again_after_the_last(
    redis: Redis, redis_url: str, publisher: Publisher
) -> None:
    assert await replicas(redis, POOL) == 0
    await publisher.publish([task(number) for number in range(120)])
    assert await replicas(redis, POOL) == 3

    gates = Gates()
    async with executor(redis_url, publisher, gates) as server:
        seen = {await replicas(redis, POOL)}
        while await redis.xlen(STREAM):
            gates.let_everything_through()
            seen.add(await replicas(redis, POOL))
            await asyncio.sleep(0.005)
        assert server.busy <= SLOTS
    assert {3, 2, 1} <= seen
    assert await replicas(redis, POOL) == 0


async def test_a_pool_is_not_taken_away_under_a_task_that_runs(
    redis: Redis, redis_url: str, publisher: Publisher
) -> None:
    gates = Gates()
    async with executor(redis_url, publisher, gates):
        await publisher.publish([task(0)])
        await until(partial(gates.have_started, 1))
        assert await query(redis, BY_LAG) == 0, "nothing waits any more"
        assert await replicas(redis, POOL) == 1, "but something runs"
        gates.let_through(0)
        await until(lambda: _stream_is_empty(redis))
    assert await replicas(redis, POOL) == 0


async def test_the_lag_of_the_group_is_unknown_while_work_waits_and_the_length_is_not(
    redis: Redis, redis_url: str, publisher: Publisher
) -> None:
    """Why triggers name no group: here every task but the oldest ends before an older one, as tasks do."""
    gates = Gates()
    await publisher.publish([task(number) for number in range(120)])
    async with executor(redis_url, publisher, gates):
        await until(partial(gates.have_started, SLOTS))
        for finished in range(10):
            gates.let_through(max(gates.open))
            await until(partial(gates.have_started, SLOTS + finished + 1))
        assert await query(redis, POOL["triggers"][0]["metadata"]) == 110
        assert await replicas(redis, POOL) == 3
        assert await query(redis, BY_LAG) == UNKNOWN, "106 wait, and KEDA would see nothing to do"


async def test_orchestrators_follow_the_sum_over_all_partitions(
    redis: Redis, redis_url: str, publisher: Publisher
) -> None:
    spec = scaled_object("components/autoscaling/orchestrator.yaml")
    assert await replicas(redis, spec) == spec["minReplicaCount"]

    streams = [
        of(partition) for partition in range(PARTITIONS) for of in (names.commands, names.results)
    ]
    await publisher.publish([Outgoing(stream, b"{}") for stream in streams for _ in range(60)])
    assert await replicas(redis, spec) == math.ceil(16 * 60 / 200)

    link = Link(redis_url)
    reader = GroupReader(
        link, streams, group=names.ORCHESTRATOR_GROUP, consumer="o", claim_idle_ms=60_000
    )
    seen = []
    while any([await redis.xlen(stream) for stream in streams]):
        for entry in await reader.read(16):
            await link.pipeline(
                list(acknowledge(entry.stream, names.ORCHESTRATOR_GROUP, [entry.id]))
            )
        seen.append(await replicas(redis, spec))
    await link.close()
    assert seen == sorted(seen, reverse=True), "only down, while nothing comes"
    assert {4, 3, 2} <= set(seen)
    assert seen[-1] == spec["minReplicaCount"]


async def _stream_is_empty(redis: Redis) -> bool:
    return int(await redis.xlen(STREAM)) == 0
