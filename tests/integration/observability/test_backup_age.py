"""The age of the last backup, from the mark that `kwe backup` leaves to what orchestrators show."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from kwe.backup.database import note_backup
from orchestrator.storage.sweeps import PostgresSweeps


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as opened:
        yield opened


async def test_an_installation_begins_without_a_backup(pool: Any) -> None:
    assert await PostgresSweeps(pool).backed_up_at() == 0


async def test_a_backup_leaves_the_time_at_which_it_was_made(pool: Any) -> None:
    async with pool.acquire() as connection:
        await note_backup(connection)
    assert abs(await PostgresSweeps(pool).backed_up_at() - time.time()) < 60


async def test_a_user_who_may_only_read_leaves_no_mark_and_fails_nothing(pool: Any) -> None:
    async with pool.acquire() as connection:
        await connection.execute("CREATE ROLE only_reads_for_backups")
        try:
            await connection.execute("GRANT USAGE ON SCHEMA workflow TO only_reads_for_backups")
            await connection.execute("SET ROLE only_reads_for_backups")
            await note_backup(connection)
        finally:
            await connection.execute("RESET ROLE")
            await connection.execute("DROP OWNED BY only_reads_for_backups")
            await connection.execute("DROP ROLE only_reads_for_backups")
    assert await PostgresSweeps(pool).backed_up_at() == 0
