"""The pool against a real PostgreSQL."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from common.errors import ConfigurationError
from common.health import database_check
from common.postgres import create_pool, is_data_error, is_retryable, retrying
from common.settings import DatabaseSettings


def settings(dsn: str, **changed: Any) -> DatabaseSettings:
    return DatabaseSettings.model_validate({"database_url": dsn, **changed})


@asynccontextmanager
async def opened(dsn: str, **arguments: Any) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    pool = await create_pool(settings(dsn), application_name="kwe-test", **arguments)
    try:
        yield pool
    finally:
        await pool.close()


async def test_uuids_are_native_and_json_stays_text(bare_database: str) -> None:
    async with opened(bare_database) as pool:
        row = await pool.fetchrow("""SELECT gen_random_uuid() AS id, '{"a": 1}'::jsonb AS body""")
        assert row is not None
        assert isinstance(row["id"], UUID)
        assert row["body"] == '{"a": 1}'


async def test_connections_say_who_they_are_and_notice_a_dead_peer(bare_database: str) -> None:
    async with opened(bare_database, max_size=1) as pool, pool.acquire() as connection:
        assert await connection.fetchval("SHOW application_name") == "kwe-test"
        plain: Any = connection
        sock = plain._con._transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert await connection.fetchval("SHOW tcp_keepalives_idle") == "30"


async def test_a_pool_can_work_as_another_role_and_stays_it(bare_database: str) -> None:
    role = f"worker_{uuid4().hex[:8]}"
    async with opened(bare_database) as owner:
        await owner.execute(f"CREATE ROLE {role}")
        try:
            async with opened(bare_database, role=role, min_size=1, max_size=1) as pool:
                for _ in range(2):  # also after the reset between two users of the connection
                    assert await pool.fetchval("SELECT current_user") == role
        finally:
            await owner.execute(f"DROP ROLE {role}")


async def test_sizes_come_from_the_settings_and_can_be_overruled(bare_database: str) -> None:
    pool = await create_pool(
        settings(bare_database, database_pool_min=1, database_pool_max=3),
        application_name="kwe-test",
    )
    assert (pool.get_min_size(), pool.get_max_size()) == (1, 3)
    await pool.close()
    async with opened(bare_database, max_size=1) as small:
        assert (small.get_min_size(), small.get_max_size()) == (1, 1)


async def test_a_database_that_does_not_exist_is_one_clear_sentence(bare_database: str) -> None:
    missing = urlunsplit(urlsplit(bare_database)._replace(path="/no_such_database"))
    with pytest.raises(ConfigurationError, match="has no database of that name"):
        await create_pool(settings(missing), application_name="kwe-test")


async def test_work_goes_on_after_the_server_cut_every_connection(bare_database: str) -> None:
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kwe-test'"
    )
    async with opened(bare_database, min_size=2, max_size=2) as pool:
        admin = await asyncpg.connect(bare_database)
        try:
            await admin.execute(cut)
        finally:
            await admin.close()
        failures: list[BaseException] = []
        answer = await retrying(
            lambda: pool.fetchval("SELECT 42"),
            pool=pool,
            delay_initial=0.01,
            on_retry=failures.append,
        )
        assert answer == 42
        assert all(is_retryable(failure) for failure in failures)
        assert await database_check(pool)() is None


async def test_values_that_cannot_be_stored_are_data_errors_and_not_retryable(
    bare_database: str,
) -> None:
    async with opened(bare_database) as pool:
        for query, value in (
            ("SELECT $1::jsonb", '"\\u0000"'),
            ("SELECT $1::jsonb", '"\\ud800"'),
            ("SELECT $1::text::int", "x"),
        ):
            with pytest.raises(asyncpg.PostgresError) as refused:
                await pool.fetchval(query, value)
            assert is_data_error(refused.value)
            assert not is_retryable(refused.value)


async def test_a_deadlock_is_retryable(bare_database: str) -> None:
    async with opened(bare_database, min_size=2) as pool:
        await pool.execute(
            "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)"
        )
        async with pool.acquire() as one, pool.acquire() as two:
            await one.execute(
                "SET deadlock_timeout = '10ms'; BEGIN; UPDATE t SET n = 1 WHERE id = 1"
            )
            await two.execute(
                "SET deadlock_timeout = '10ms'; BEGIN; UPDATE t SET n = 2 WHERE id = 2"
            )
            failure = await _deadlock(one, two)
            assert is_retryable(failure)
            for connection in (one, two):
                await connection.execute("ROLLBACK")


async def _deadlock(one: Any, two: Any) -> BaseException:
    results = await asyncio.gather(
        one.execute("UPDATE t SET n = 1 WHERE id = 2"),
        two.execute("UPDATE t SET n = 2 WHERE id = 1"),
        return_exceptions=True,
    )
    (failure,) = [result for result in results if isinstance(result, BaseException)]
    return failure
