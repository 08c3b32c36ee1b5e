"""What ended longer ago than it is kept goes, whole months at a time, and nothing else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import asyncpg
import pytest

from common.ids import uuid7
from orchestrator.housekeeping import Housekeeping
from orchestrator.storage.sweeps import PostgresSweeps

DAYS = 30
NOW = datetime.now(UTC)
TABLES = ("history", "payloads", "workflow_executions")


class Past:
    """Executions of times long gone, in the partitions those times had."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool
        self.organization = uuid7()

    async def month(self, at: datetime) -> str:
        lower = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        upper = (lower + timedelta(days=32)).replace(day=1)
        for table in TABLES:
            await self.pool.execute(
                f"CREATE TABLE IF NOT EXISTS workflow.{table}_{lower:%Y%m} PARTITION OF workflow.{table} FOR VALUES FROM "
                f"('{floor(lower)}') TO ('{floor(upper)}')"
            )
        return f"{lower:%Y%m}"

    async def execution(self, at: datetime, *, ended: datetime | None) -> UUID:
        id = uuid7(at_ms=int(at.timestamp() * 1000))
        await self.pool.execute(
            "INSERT INTO workflow.workflow_executions (id, organization_id, workflow_id, workflow_version, semver, status, "
            "created_at, updated_at, finished_at) VALUES ($1, $2, 'a/b', 1, '1.0.0', $3, $4, $4, $5)",
            *(id, self.organization, "completed" if ended else "waiting", at, ended),
        )
        await self.pool.execute(
            "INSERT INTO workflow.history VALUES ($1, 1, 1, $2, $3, '[]')",
            id,
            self.organization,
            at,
        )
        await self.pool.execute(
            "INSERT INTO workflow.payloads VALUES ($1, $1, $2, '', 'x', $3)",
            *(id, self.organization, at),
        )
        if ended is None:
            await self.pool.execute(
                "INSERT INTO workflow.execution_state VALUES ($1, $2, 1, '')", id, self.organization
            )
        return id

    async def letter(self, at: datetime) -> None:
        await self.pool.execute(
            "INSERT INTO workflow.dead_letters (id, stream, reason, entry, created_at) VALUES ($1, '', '', '', $2)",
            *(uuid7(), at),
        )

    async def counts(self) -> list[int]:
        return [
            await self.pool.fetchval(f"SELECT count(*) FROM workflow.{each}") for each in TABLES
        ]

    async def months(self) -> set[str]:
        return {row[0] for row in await self.pool.fetch("SELECT month FROM workflow.months()")}


def floor(at: datetime) -> UUID:
    return UUID(int=int(at.timestamp() * 1000) << 80 | 0x7 << 76 | 0x8 << 60)


@pytest.fixture
async def past(database: str) -> AsyncIterator[Past]:
    pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
    yield Past(pool)
    await pool.close()


def housekeeping(past: Past, days: int = DAYS) -> Housekeeping:
    nothing = cast("Any", None)
    return Housekeeping(
        store=PostgresSweeps(past.pool),
        link=nothing,
        windows=nothing,
        partitions=8,
        events_retention_s=3600,
        retention_days=days,
    )


async def test_a_month_in_which_all_ended_long_ago_is_dropped(past: Past) -> None:
    old, recent = NOW - timedelta(days=100), NOW - timedelta(days=1)
    month = await past.month(old)
    await past.month(recent)
    await past.execution(old, ended=old)
    kept = await past.execution(recent, ended=recent)

    await housekeeping(past).expire()

    assert month not in await past.months()
    assert await past.pool.fetchval("SELECT id FROM workflow.workflow_executions") == kept
    assert await past.counts() == [1, 1, 1]
    assert await past.pool.fetchval("SELECT count(*) FROM workflow.settled_months") == 0


async def test_a_month_with_an_unfinished_execution_stays(past: Past) -> None:
    old = NOW - timedelta(days=100)
    month = await past.month(old)
    await past.execution(old, ended=old)
    await past.execution(old, ended=None)

    await housekeeping(past).expire()

    assert month in await past.months()
    assert await past.counts() == [2, 2, 2]


async def test_days_count_from_the_end_of_an_execution_not_from_its_beginning(past: Past) -> None:
    old = NOW - timedelta(days=100)
    month = await past.month(old)
    await past.execution(old, ended=NOW - timedelta(days=DAYS - 5))

    await housekeeping(past).expire()
    assert month in await past.months()

    await past.pool.execute(
        "UPDATE workflow.settled_months SET last_ended_at = now() - interval '31 days'"
    )
    await housekeeping(past).expire()
    assert month not in await past.months()


async def test_without_a_retention_everything_is_kept(past: Past) -> None:
    old = NOW - timedelta(days=1000)
    month = await past.month(old)
    await past.execution(old, ended=old)

    await housekeeping(past, days=0).expire()

    assert month in await past.months()


async def test_a_table_that_is_being_read_is_left_for_the_next_round_without_an_error(
    past: Past,
) -> None:
    old = NOW - timedelta(days=100)
    month = await past.month(old)
    await past.execution(old, ended=old)
    async with past.pool.acquire() as reader, reader.transaction():
        await reader.fetch(f"SELECT * FROM workflow.history_{month}")
        async with asyncio.timeout(5):
            await housekeeping(past).expire()
        assert month in await past.months()

    await housekeeping(past).expire()
    assert month not in await past.months()


async def test_what_no_month_holds_goes_in_bounded_portions(past: Past) -> None:
    old = NOW - timedelta(days=1000)
    for _ in range(5):
        await past.execution(old, ended=old)
    waiting = await past.execution(old, ended=None)
    await past.letter(old)
    await past.letter(NOW)
    store = PostgresSweeps(past.pool)

    assert await store.delete_expired(DAYS, 3) == 3 + 1
    assert await past.counts() == [3, 3, 3]
    await housekeeping(past).expire()

    assert await past.pool.fetchval("SELECT id FROM workflow.workflow_executions") == waiting
    assert await past.counts() == [1, 1, 1]
    assert await past.pool.fetchval("SELECT count(*) FROM workflow.dead_letters") == 1


async def test_an_orchestrator_of_the_release_before_keeps_to_the_same_rule(past: Past) -> None:
    old = NOW - timedelta(days=100)
    month = await past.month(old)
    await past.execution(old, ended=NOW)

    await past.pool.fetch("SELECT workflow.drop_expired_partitions($1)", DAYS)

    assert month in await past.months()


async def test_rows_that_came_before_their_month_had_a_partition_move_into_it(past: Past) -> None:
    await past.month(NOW)
    for table in TABLES:
        await past.pool.execute(f"DROP TABLE workflow.{table}_{NOW:%Y%m}")
    id = await past.execution(NOW, ended=None)
    assert await past.pool.fetchval("SELECT id FROM workflow.workflow_executions_default") == id

    await PostgresSweeps(past.pool).tidy()

    assert f"{NOW:%Y%m}" in await past.months()
    assert await past.counts() == [1, 1, 1]
    for table in TABLES:
        assert await past.pool.fetchval(f"SELECT count(*) FROM workflow.{table}_default") == 0
