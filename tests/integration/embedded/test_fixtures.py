"""The shared fixtures keep what tests/conftest.py promises."""

import asyncpg
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_gets_a_database_of_its_own(bare_database: str, turn: int) -> None:
    connection = await asyncpg.connect(bare_database)
    try:
        await connection.execute("CREATE TABLE mine (turn int)")
        await connection.execute("INSERT INTO mine VALUES ($1)", turn)
        assert await connection.fetchval("SELECT count(*) FROM mine") == 1
    finally:
        await connection.close()


async def test_a_database_is_dropped_even_while_somebody_uses_it(bare_database: str) -> None:
    left_open = await asyncpg.connect(bare_database)
    assert await left_open.fetchval("SELECT 1") == 1
    left_open.terminate()


@pytest.mark.parametrize("turn", [1, 2])
async def test_every_test_gets_an_empty_valkey(redis_url: str, turn: int) -> None:
    async with AsyncRedis.from_url(redis_url) as client:
        assert await client.dbsize() == 0
        await client.set("turn", turn)


def test_a_plain_test_can_use_them_too(redis_url: str, bare_database: str) -> None:
    assert bare_database.startswith("postgresql://")
    with Redis.from_url(redis_url) as client:
        assert client.ping()


async def test_a_database_has_every_migration_applied(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        count = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'workflow'"
        assert await connection.fetchval(count) > 0
    finally:
        await connection.close()
