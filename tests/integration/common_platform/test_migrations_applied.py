"""Migrations against a real PostgreSQL: whole or not at all, once, and never edited."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from common.errors import ConfigurationError
from common.health import migrations_check
from common.migrations import migrate, pending


class Owner:
    """A service with migrations of its own, made for one test."""

    def __init__(self, folder: Path) -> None:
        self.name = f"owner_{uuid4().hex[:8]}"
        self.package = f"{self.name}.migrations"
        self._folder = folder / self.name / "migrations"
        self._folder.mkdir(parents=True)
        (self._folder.parent / "__init__.py").touch()
        (self._folder / "__init__.py").touch()

    def ships(self, name: str, sql: str) -> str:
        (self._folder / name).write_text(sql)
        return f"{self.name}/{name}"


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    monkeypatch.syspath_prepend(str(tmp_path))
    return Owner(tmp_path)


@asynccontextmanager
async def pooled(dsn: str) -> AsyncIterator["asyncpg.Pool[asyncpg.Record]"]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        yield pool


async def test_what_is_missing_is_applied_in_order_and_only_once(
    bare_database: str, owner: Owner
) -> None:
    first = owner.ships("0001_a.sql", "CREATE TABLE a (id int); INSERT INTO a VALUES (1);")
    second = owner.ships("0002_b.sql", "ALTER TABLE a ADD COLUMN b text NOT NULL DEFAULT 'x';")
    assert await migrate(bare_database, [owner.package]) == [first, second]
    assert await migrate(bare_database, [owner.package]) == []
    async with pooled(bare_database) as pool:
        assert [tuple(row) for row in await pool.fetch("SELECT id, b FROM a")] == [(1, "x")]


async def test_a_file_that_fails_leaves_nothing_behind_and_can_be_mended(
    bare_database: str, owner: Owner
) -> None:
    first = owner.ships("0001_a.sql", "CREATE TABLE a (id int);")
    owner.ships("0002_b.sql", "CREATE TABLE b (id int); SELECT no_such_function();")
    with pytest.raises(
        ConfigurationError, match=r"0002_b\.sql failed and was rolled back"
    ) as refused:
        await migrate(bare_database, [owner.package])
    assert "no_such_function" in refused.value.detail
    async with pooled(bare_database) as pool:
        assert await pool.fetchval("SELECT to_regclass('a')::text") == "a"
        assert await pool.fetchval("SELECT to_regclass('b')") is None
        assert await pending(pool, [owner.package]) == [f"{owner.name}/0002_b.sql"]
    mended = owner.ships("0002_b.sql", "CREATE TABLE b (id int);")
    assert await migrate(bare_database, [owner.package]) == [mended]
    assert first


async def test_a_file_that_was_edited_after_shipping_is_refused(
    bare_database: str, owner: Owner
) -> None:
    owner.ships("0001_a.sql", "CREATE TABLE a (id int);")
    await migrate(bare_database, [owner.package])
    owner.ships("0001_a.sql", "CREATE TABLE a (id bigint);")
    owner.ships("0002_b.sql", "CREATE TABLE b (id int);")
    with pytest.raises(
        ConfigurationError, match=r"0001_a\.sql was edited after it had been applied"
    ):
        await migrate(bare_database, [owner.package])
    async with pooled(bare_database) as pool:
        assert await pool.fetchval("SELECT to_regclass('b')") is None


async def test_a_file_that_comes_late_is_refused(bare_database: str, owner: Owner) -> None:
    owner.ships("0003_c.sql", "CREATE TABLE c (id int);")
    await migrate(bare_database, [owner.package])
    owner.ships("0002_b.sql", "CREATE TABLE b (id int);")
    with pytest.raises(ConfigurationError, match=r"sorts before 0003_c\.sql"):
        await migrate(bare_database, [owner.package])


async def test_runs_at_the_same_time_apply_each_file_once(bare_database: str, owner: Owner) -> None:
    label = owner.ships("0001_a.sql", "CREATE TABLE a (id int); SELECT pg_sleep(0.05);")
    runs = await asyncio.gather(*(migrate(bare_database, [owner.package]) for _ in range(4)))
    assert sorted(runs) == [[], [], [], [label]]


async def test_a_database_that_is_ahead_of_the_code_is_no_error(
    bare_database: str, owner: Owner
) -> None:
    owner.ships("0001_a.sql", "CREATE TABLE a (id int);")
    await migrate(bare_database, [owner.package])
    async with pooled(bare_database) as pool:
        await pool.execute(
            "INSERT INTO public.kwe_migrations VALUES ($1, '0009_new.sql', 'x')", owner.name
        )
        assert await pending(pool, [owner.package]) == []
    assert await migrate(bare_database, [owner.package]) == []


async def test_everything_is_pending_in_a_new_database_until_it_is_migrated(
    bare_database: str, owner: Owner
) -> None:
    label = owner.ships("0001_a.sql", "CREATE TABLE a (id int);")
    async with pooled(bare_database) as pool:
        check = migrations_check(pool, [owner.package])
        assert await pending(pool, [owner.package]) == [label]
        reason = await check()
        assert reason is not None
        assert label in reason
        await migrate(bare_database, [owner.package])
        assert await pending(pool, [owner.package]) == []
        assert await check() is None


async def test_a_role_that_owns_nothing_can_see_what_is_pending(
    bare_database: str, owner: Owner
) -> None:
    owner.ships("0001_a.sql", "CREATE TABLE a (id int);")
    await migrate(bare_database, [owner.package])
    role = f"reader_{uuid4().hex[:8]}"
    async with pooled(bare_database) as pool:
        await pool.execute(f"CREATE ROLE {role}")
        try:
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(f"SET LOCAL ROLE {role}")
                rows = await connection.fetch("SELECT name FROM public.kwe_migrations")
                assert [row["name"] for row in rows] == ["0001_a.sql"]
        finally:
            await pool.execute(f"DROP ROLE {role}")
