"""The store of what the installation is made of: definitions, functions, limits, PostgreSQL's clock, the generation."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from common.postgres import load_queries
from orchestrator.definitions import LATEST, Definition, semver_key
from orchestrator.storage.failures import translated
from workflow.core.plan import compile_plan
from workflow.document import Functions, FunctionSpec

QUERIES = load_queries("orchestrator.storage.sql", "installation.sql")


LARGE_DOCUMENT = 16 * 1024
"""Characters from which compiling takes a noticeable while: a megabyte takes seconds."""


class DatabaseClock:
    """PostgreSQL's clock, read now and then and carried on by the local monotonic one."""

    def __init__(self) -> None:
        self._base_ms = time.time_ns() // 1_000_000
        self._read_at = time.monotonic()

    def now_ms(self) -> int:
        return self._base_ms + int((time.monotonic() - self._read_at) * 1000)

    async def synchronise(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        before = time.monotonic()
        base: int = await pool.fetchval(QUERIES["now_ms"])
        after = time.monotonic()
        # The answer was right somewhere between sending and receiving.
        self._base_ms, self._read_at = base, (before + after) / 2


class InstalledFunctions:
    """The default catalog and the functions that executors have declared."""

    def __init__(self) -> None:
        self._functions = Functions()

    def find(self, name: str, version: str) -> FunctionSpec | None:
        return self._functions.find(name, version)

    def names(self) -> list[str]:
        return self._functions.names()

    async def load(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        async with translated():
            rows = await pool.fetch(QUERIES["functions"])
        self._functions = Functions(_function(row) for row in rows)


def _function(row: asyncpg.Record) -> FunctionSpec:
    return FunctionSpec(
        name=row["name"],
        version=row["version"],
        queue=row["queue"],
        input_schema=_json(row["input_schema"]),
        output_schema=_json(row["output_schema"]),
        at_most_once=row["at_most_once"],
        description=row["description"],
    )


def _json(text: str | None) -> dict[str, Any]:
    return {} if text is None else orjson.loads(text)


class PostgresDefinitions:
    """`orchestrator.definitions.DefinitionSource` on a pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], functions: InstalledFunctions) -> None:
        self._pool = pool
        self._functions = functions

    async def by_number(
        self, organization_id: UUID, workflow_id: str, version: int
    ) -> Definition | None:
        async with translated():
            row = await self._pool.fetchrow(
                QUERIES["by_number"], organization_id, workflow_id, version
            )
        return await self._compile(row)

    async def number_of(self, organization_id: UUID, workflow_id: str, semver: str) -> int | None:
        async with translated():
            rows = await self._pool.fetch(QUERIES["semvers"], organization_id, workflow_id)
        numbers = {row["semver"]: int(row["version"]) for row in rows}
        if semver == LATEST:
            semver = max(numbers, key=semver_key, default="")
        return numbers.get(semver)

    async def _compile(self, row: asyncpg.Record | None) -> Definition | None:
        if row is None:
            return None
        # A function may have been declared by an executor since this process last looked.
        await self._functions.load(self._pool)
        config: str = row["config"]
        if len(config) < LARGE_DOCUMENT:
            plan = compile_plan(orjson.loads(config), self._functions)
        else:
            # Beside the event loop, which others wait for and the watchdog listens to.
            plan = await asyncio.to_thread(compile_plan, orjson.loads(config), self._functions)
        return Definition(row["id"], row["version"], row["semver"], plan, len(config))


class PostgresLimits:
    """Concurrency limits of organisations, read every few seconds; `default` where an organisation has none."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], *, default: int) -> None:
        self._pool = pool
        self._default = default
        self._limits: dict[UUID, int] = {}
        self._expires_at = 0.0

    async def limit_of(self, organization_id: UUID) -> int:
        if time.monotonic() >= self._expires_at:
            async with translated():
                rows = await self._pool.fetch(QUERIES["concurrency_limits"])
            self._limits = {row["id"]: row["max_concurrent_executions"] for row in rows}
            self._expires_at = time.monotonic() + 5
        return self._limits.get(organization_id, self._default)

    async def waiting(self) -> list[UUID]:
        """Organisations in which some execution waits for admission."""
        async with translated():
            rows = await self._pool.fetch(QUERIES["waiting_for_admission"])
        return [row["organization_id"] for row in rows]

    async def admit(self, organization_id: UUID) -> list[UUID]:
        """Let as many begin as there is room for; returns them."""
        limit = await self.limit_of(organization_id)
        async with translated(), self._pool.acquire() as connection, connection.transaction():
            await connection.execute(QUERIES["lock_organization"], str(organization_id))
            rows = await connection.fetch(
                QUERIES["admit"], organization_id, limit if limit > 0 else 2**31 - 1
            )
        return [row["execution_id"] for row in rows]
