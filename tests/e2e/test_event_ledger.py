"""The example consumer keeps a whole ledger, whatever happens to Redis."""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from kwe import Client, EventConsumer
from kwe.events import CursorFile
from kwe.examples import examples_folder
from kwe.local.stack import LocalStack

EXAMPLE = examples_folder(Path(__file__)) / "event-consumer" / "ledger.py"
PATIENCE_SECONDS = 30
DEFINITION = """
document: {dsl: '1.0.3', namespace: tests, name: steps, version: '1.0.0'}
do:
  - first: {set: {x: 1}}
  - pause: {wait: {milliseconds: 150}}
  - second: {set: {x: 2}}
"""


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("event_ledger_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def redis(stack: LocalStack) -> AsyncIterator[Redis]:
    async with Redis.from_url(stack.environment.redis_url) as opened:
        yield opened


@asynccontextmanager
async def consuming(stack: LocalStack, ledger: Any, cursor: Path) -> AsyncIterator[None]:
    consumer = EventConsumer(
        ledger.on_event,
        redis_url=stack.environment.redis_url,
        organization_id=str(stack.organization_id),
        client=Client(stack.url, stack.api_key),
        cursor=CursorFile(cursor),
    )
    running = asyncio.create_task(consumer.run())
    await asyncio.wait_for(consumer.ready.wait(), PATIENCE_SECONDS)
    try:
        yield
        assert not running.done(), running.exception()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def started(client: Client, count: int) -> list[str]:
    accepted = await asyncio.gather(*(client.start("tests/steps") for _ in range(count)))
    return [one.id for one in accepted]


async def histories(client: Client, ids: list[str]) -> dict[str, list[int]]:
    """Every sequence of every execution, from the truth, once they have ended."""

    async def of(id: str) -> list[int]:
        await client.wait(id, timeout=PATIENCE_SECONDS)
        return [event["sequence"] async for event in client.history(id)]

    return dict(zip(ids, await asyncio.gather(*map(of, ids)), strict=True))


async def until_complete(ledger: Any, wanted: dict[str, list[int]]) -> None:
    """Wait until the ledger has what it should have; show the difference if it never does."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            # Another connection writes it; there is no event to wait for.
            while not wanted.items() <= ledger.sequences().items():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    except TimeoutError:
        found = ledger.sequences()
        assert {id: found.get(id) for id in wanted} == wanted


async def test_the_ledger_has_every_sequence_although_redis_is_flushed(
    stack: LocalStack, client: Client, redis: Redis, example: Any, tmp_path: Path
) -> None:
    await client.apply(DEFINITION)
    ledger = example.Ledger(tmp_path / "ledger.db")
    async with consuming(stack, ledger, tmp_path / "cursor"):
        ids = await started(client, 10)
        await redis.flushall()
        ids += await started(client, 10)
        await redis.flushall()
        await until_complete(ledger, await histories(client, ids))
    assert ledger.gaps() == {}
    ledger.close()


async def test_a_consumer_that_was_away_during_a_flush_misses_nothing(
    stack: LocalStack, client: Client, redis: Redis, example: Any, tmp_path: Path
) -> None:
    await client.apply(DEFINITION)
    ledger = example.Ledger(tmp_path / "ledger.db")
    async with consuming(stack, ledger, tmp_path / "cursor"):
        before = await started(client, 3)
    between = await started(client, 3)
    wanted = await histories(client, before + between)
    await redis.flushall()
    async with consuming(stack, ledger, tmp_path / "cursor"):
        after = await started(client, 3)
        await until_complete(ledger, {**wanted, **await histories(client, after)})
    assert ledger.gaps() == {}
    ledger.close()
