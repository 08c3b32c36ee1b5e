"""The stores behind `administration`, `notes` and dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from common.contracts.administration import (
    CreateApiKey,
    CreateOrganization,
    RedriveDeadLetter,
    RegisterFunctions,
    RegisterWorkflow,
    RevokeApiKey,
)
from common.ids import uuid7
from common.postgres import load_queries
from common.streams.publisher import Outgoing
from orchestrator.notes import LossCount
from orchestrator.storage.executions import TASK_EXPECTED_S
from orchestrator.storage.failures import translated

QUERIES = load_queries("orchestrator.storage.sql", "administration.sql")
TASKS = load_queries("orchestrator.storage.sql", "tasks.sql")

GRANT_LEASE_S = 60.0
"""An at-most-once task that was granted and not heard of for this long has an unknown outcome."""


class PostgresAdministration:
    """`orchestrator.administration.AdministrationStore` on a pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def register(self, command: RegisterWorkflow) -> tuple[int, dict[str, Any]]:
        workflow_id = f"{command.namespace}/{command.name}"
        async with translated(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(
                QUERIES["lock_workflow"], str(command.organization_id), workflow_id
            )
            known = await connection.fetchrow(
                QUERIES["registered"], command.organization_id, workflow_id, command.semver
            )
            if known is not None:
                same = known["fingerprint"] == command.fingerprint
                return (200 if same else 409), _registered(known)
            row = await connection.fetchrow(
                QUERIES["register"],
                command.organization_id,
                workflow_id,
                command.namespace,
                command.name,
                command.semver,
                orjson.dumps(command.config).decode(),
                command.fingerprint,
            )
            assert row is not None
            return 201, _registered(row)

    async def declare(self, command: RegisterFunctions) -> None:
        async with translated(), self._pool.acquire() as connection, connection.transaction():
            for each in command.functions:
                await connection.execute(
                    QUERIES["declare_function"],
                    each.name,
                    each.version,
                    each.queue,
                    each.description,
                    _json(each.input_schema),
                    _json(each.output_schema),
                    each.at_most_once,
                )

    async def create_organization(self, command: CreateOrganization) -> dict[str, Any]:
        async with translated():
            await self._pool.execute(
                QUERIES["create_organization"],
                command.new_organization_id,
                command.name,
                command.max_concurrent_executions,
            )
            row = await self._pool.fetchrow(QUERIES["organization"], command.new_organization_id)
        assert row is not None
        return {
            "id": str(command.new_organization_id),
            "name": row["name"],
            "createdAt": row["created_at"].isoformat(),
        }

    async def create_api_key(self, command: CreateApiKey) -> bool:
        async with translated():
            known = await self._pool.fetchval(
                QUERIES["create_api_key"],
                command.key_id,
                command.organization_id,
                command.key_hash,
                command.name,
                list(command.scopes),
                command.expires_at_ms,
            )
        return bool(known)

    async def revoke_api_key(self, command: RevokeApiKey) -> bool:
        async with translated():
            known = await self._pool.fetchval(
                QUERIES["revoke_api_key"], command.key_id, command.organization_id
            )
        return known is not None

    async def redrive(self, command: RedriveDeadLetter) -> Outgoing | None:
        async with translated():
            row = await self._pool.fetchrow(
                QUERIES["redrive"], command.dead_letter_id, command.organization_id
            )
        return None if row is None else Outgoing(row["stream"], row["entry"])


class PostgresTasks:
    """`orchestrator.notes.TaskStore` on a pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def heartbeats(self, tasks: Sequence[tuple[UUID, str]]) -> None:
        async with translated():
            await self._pool.execute(
                TASKS["heartbeats"],
                [each for each, _ in tasks],
                [key for _, key in tasks],
                TASK_EXPECTED_S,
            )

    async def worker_lost(self, execution_id: UUID, key: str) -> LossCount | None:
        async with translated():
            row = await self._pool.fetchrow(TASKS["worker_lost"], execution_id, key)
        return None if row is None else LossCount(row["lost"], row["started_by"])

    async def grant(self, execution_id: UUID, key: str, nonce: str) -> bool:
        async with translated():
            granted = await self._pool.fetchval(
                TASKS["grant"], execution_id, key, nonce, GRANT_LEASE_S
            )
        return bool(granted)


class DeadLetters:
    """Messages set aside with their reason; nothing is dropped."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def add(
        self,
        *,
        stream: str,
        entry: bytes,
        reason: str,
        detail: str,
        organization_id: UUID | None = None,
        execution_id: UUID | None = None,
    ) -> None:
        async with translated():
            await self._pool.execute(
                QUERIES["set_aside"],
                uuid7(),
                organization_id,
                execution_id,
                stream,
                reason,
                _storable(detail),
                entry,
            )


def _storable(text: str) -> str:
    """It may quote the message that nobody could read: NUL and lone surrogates are nothing for PostgreSQL."""
    return text[:2000].encode(errors="replace").decode().replace("\x00", "\ufffd")


def _registered(row: asyncpg.Record) -> dict[str, Any]:
    return {"version": row["version"], "createdAt": row["created_at"].isoformat()}


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
