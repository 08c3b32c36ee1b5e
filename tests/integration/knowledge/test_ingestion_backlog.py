"""How far behind ingestion is, read from PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from common.metrics import DOCUMENTS_UNFINISHED, DOCUMENTS_WAITING_SECONDS
from knowledge.ingestion.backlog import show_backlog
from knowledge.storage import work

PATIENCE_S = 10.0

ONE_UNFINISHED = """
WITH organization AS (SELECT gen_random_uuid() AS id),
collection AS (
    INSERT INTO knowledge.collections (organization_id, id, name)
    SELECT id, gen_random_uuid(), 'policies' FROM organization RETURNING organization_id, id)
INSERT INTO knowledge.documents (organization_id, collection_id, id, status, progress, updated_at)
SELECT organization_id, id, name, status, progress, now() - interval '7 minutes'
FROM collection, (VALUES ('waits', 'pending', 0), ('done', 'ready', 1)) AS d (name, status, progress)
"""


async def test_what_is_not_searchable_yet_is_counted_with_its_age(database: str) -> None:
    async with asyncpg.create_pool(database, min_size=1, max_size=2) as pool:
        assert await work.backlog(pool) == (0, 0.0)
        await pool.execute(ONE_UNFINISHED)
        counting = asyncio.create_task(show_backlog(pool))
        await until(lambda: DOCUMENTS_UNFINISHED._value.get() == 1)
        counting.cancel()
        assert 400 < DOCUMENTS_WAITING_SECONDS._value.get() < 500


async def until(condition: Any) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
