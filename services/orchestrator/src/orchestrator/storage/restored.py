"""What a restored database says about messages of the time that is undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from common.contracts.base import PayloadReference
from common.postgres import load_queries
from orchestrator.storage.failures import translated

QUERIES = load_queries("orchestrator.storage.sql", "restored.sql")


class PostgresKnowledgeOfMessages:
    """`orchestrator.restored.KnownToDatabase` on a pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def open_tasks(self, tries: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
        if not tries:
            return set()
        executions, keys = zip(*tries, strict=True)
        rows = await self._fetch("open_tasks", executions, keys)
        return {(UUID(int=row["execution_id"].int), row["key"]) for row in rows}

    async def stored(self, references: Sequence[PayloadReference]) -> set[UUID]:
        if not references:
            return set()
        owners, ids = zip(*[(each.owner_id, each.id) for each in references], strict=True)
        return {
            UUID(int=row["id"].int) for row in await self._fetch("stored_payloads", owners, ids)
        }

    async def queues(self) -> list[str]:
        return [row["queue"] for row in await self._fetch("queues")]

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with translated():
            return await self._pool.fetch(QUERIES[query], *arguments)
