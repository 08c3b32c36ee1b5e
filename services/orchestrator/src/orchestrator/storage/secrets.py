"""Secrets as they are stored: sealed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg

from common.contracts.administration import DeleteSecret, SetSecret
from common.postgres import load_queries
from common.security.vault import key_id_of
from orchestrator.storage.failures import translated

QUERIES = load_queries("orchestrator.storage.sql", "secrets.sql")


class PostgresSecrets:
    """`orchestrator.secrets.SecretStore` on a pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def envelopes(self, organization_id: UUID, names: Sequence[str]) -> dict[str, str]:
        async with translated():
            rows = await self._pool.fetch(QUERIES["read_secrets"], organization_id, list(names))
        return {row["name"]: row["envelope"] for row in rows}

    async def put(self, command: SetSecret) -> dict[str, Any]:
        async with translated():
            row = await self._pool.fetchrow(
                QUERIES["set_secret"],
                command.organization_id,
                command.name,
                command.envelope,
                key_id_of(command.envelope),
                command.message_id,
            )
        assert row is not None
        return {
            "name": command.name,
            "version": row["version"],
            "updatedAt": row["updated_at"].isoformat(),
        }

    async def remove(self, command: DeleteSecret) -> bool:
        """Whether there was one."""
        async with translated():
            found = await self._pool.fetchval(
                QUERIES["delete_secret"], command.organization_id, command.name
            )
        return found is not None
