"""The stores behind `sweeps` and `recovery`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from common.postgres import load_queries
from orchestrator.ports import Facts
from orchestrator.publications import Note, read_note
from orchestrator.storage.executions import TASK_EXPECTED_S
from orchestrator.storage.failures import translated
from orchestrator.sweeps import ChildWait, DueWait, OverdueTask, TaskBody, Turn

QUERIES = load_queries("orchestrator.storage.sql", "sweeps.sql")
INSTALLATION = load_queries("orchestrator.storage.sql", "installation.sql")

SETTLE_SECONDS_MAX = 3600.0

RECOVERY_LOCK = 0x6B77655F7265636F  # "kwe_reco"


class PostgresSweeps:
    """`SweepStore` and `RecoveryStore` on a pool."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def owed(self, age_s: float, limit: int) -> list[Note]:
        return [
            read_note(row["id"], row["body"])
            for row in await self._fetch("owed_publications", age_s, limit)
        ]

    async def settle(self, ids: Sequence[UUID]) -> None:
        await self._fetch("delete_publications", ids)

    async def history_of(self, ranges: Sequence[tuple[UUID, int, int]]) -> list[Turn]:
        executions, first, last = zip(*ranges, strict=True)
        return _turns(await self._fetch("history_of", executions, first, last))

    async def published_bodies(self, tasks: Sequence[tuple[UUID, str]]) -> list[TaskBody]:
        executions, keys = zip(*tasks, strict=True)
        return _bodies(await self._fetch("published_bodies", executions, keys))

    async def take_ready(self, queue: str, room: int) -> list[TaskBody]:
        return _bodies(await self._fetch("take_ready", queue, room, TASK_EXPECTED_S))

    async def ready_queues(self) -> dict[str, int]:
        return {row["queue"]: row["waiting"] for row in await self._fetch("ready_queues")}

    async def due(self, partitions: Sequence[int], late_s: float, limit: int) -> list[DueWait]:
        return [
            DueWait(
                row["execution_id"],
                row["organization_id"],
                row["key"],
                row["kind"],
                row["late_s"],
            )
            for row in await self._fetch("due", list(partitions), late_s, limit)
        ]

    async def overdue(self, limit: int) -> list[OverdueTask]:
        return [
            OverdueTask(_body(row), row["organization_id"], row["started_by"], row["opened_ms"])
            for row in await self._fetch("overdue_tasks", limit, TASK_EXPECTED_S)
        ]

    async def closed_children(self, age_s: float, limit: int) -> list[ChildWait]:
        return [
            ChildWait(row["execution_id"], row["organization_id"], row["key"], row["child_id"])
            for row in await self._fetch("closed_children", age_s, limit)
        ]

    async def missing_children(self, age_s: float, limit: int) -> list[ChildWait]:
        return [
            ChildWait(row["execution_id"], row["organization_id"], row["key"])
            for row in await self._fetch("missing_children", age_s, limit)
        ]

    async def abandoned_children(self, age_s: float, limit: int) -> list[tuple[UUID, UUID]]:
        return [
            (row["id"], row["organization_id"])
            for row in await self._fetch("abandoned_children", age_s, limit)
        ]

    async def orphans(self, age_s: float, limit: int) -> list[UUID]:
        return [row["id"] for row in await self._fetch("orphans", age_s, limit)]

    async def owed_count(self, age_s: float) -> int:
        return int((await self._fetch("owed_count", age_s))[0]["count"])

    async def waits_by_kind(self) -> dict[str, int]:
        return {row["kind"]: row["count"] for row in await self._fetch("waits_by_kind")}

    async def unfinished_count(self) -> int:
        return int((await self._fetch("unfinished_count"))[0]["count"])

    async def connections(self) -> tuple[int, int]:
        """How many the server has, and may have."""
        row = (await self._fetch("connections"))[0]
        return row["connections"], row["connections_max"]

    async def backed_up_at(self) -> float:
        """Seconds since the epoch; 0 if there never was a backup."""
        return float((await self._fetch("backed_up_at"))[0]["at"])

    async def database_bytes(self) -> int:
        return int((await self._fetch("database_bytes"))[0]["bytes"])

    async def organizations(self) -> list[UUID]:
        return [row["id"] for row in await self._fetch("organizations")]

    async def settle_months(self, days: int) -> None:
        """Find out which old months are over; reads each of them once, which may take minutes."""
        async with translated():
            await self._pool.fetch(QUERIES["settle_months"], days, timeout=SETTLE_SECONDS_MAX)

    async def drop_expired_table(self, days: int) -> str | None:
        """The name of one that was dropped; None when there is none, or it is in use."""
        name: str | None = (await self._fetch("drop_expired_table", days))[0]["name"]
        return name

    async def delete_expired(self, days: int, portion: int) -> int:
        """Delete at most so many executions that no dropped table holds, and dead letters; how many went."""
        strays = await self._fetch("delete_expired_strays", days, portion)
        letters = await self._fetch("delete_expired_letters", days, portion)
        return int(strays[0]["count"]) + int(letters[0]["count"])

    async def forget_events(self, retention_s: float, most_days: int, portion: int) -> int:
        """Forget at most so many events that nothing unfinished may still listen for; how many went."""
        rows = await self._fetch("forget_events", retention_s, most_days, portion)
        return int(rows[0]["count"])

    async def tidy(self) -> None:
        """Forget what has expired, and make room for the coming months."""
        for query in ("forget_idempotency", "forget_payloads", "ensure_partitions"):
            await self._fetch(query)

    # --- recovery ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[bool]:
        """Held by the session, so a replica that dies lets go of it."""
        async with translated(), self._pool.acquire() as connection:
            got = await connection.fetchval("SELECT pg_try_advisory_lock($1)", RECOVERY_LOCK)
            try:
                yield bool(got)
            finally:
                if got:
                    await connection.execute("SELECT pg_advisory_unlock($1)", RECOVERY_LOCK)

    async def settled_generation(self) -> str:
        async with translated():
            row = await self._pool.fetchrow(INSTALLATION["installation"])
        assert row is not None
        return str(row["redis_generation"])

    async def settle_generation(self, generation: str) -> None:
        async with translated():
            await self._pool.execute(INSTALLATION["settle_generation"], generation)

    async def published_tasks(self, after: tuple[UUID, str], limit: int) -> list[TaskBody]:
        return _bodies(await self._fetch("published_tasks", *after, limit))

    async def recent_history(self, age_s: float, after: tuple[UUID, int], limit: int) -> list[Turn]:
        return _turns(await self._fetch("recent_history", age_s, *after, limit))

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with translated():
            return await self._pool.fetch(QUERIES[query], *arguments)


def _body(row: asyncpg.Record) -> TaskBody:
    return TaskBody(row["execution_id"], row["key"], row["queue"], row["body"])


def _bodies(rows: Sequence[asyncpg.Record]) -> list[TaskBody]:
    return [_body(row) for row in rows]


def _turns(rows: Sequence[asyncpg.Record]) -> list[Turn]:
    return [
        Turn(
            Facts(
                row["execution_id"],
                row["organization_id"],
                row["workflow_id"],
                row["workflow_version"],
                row["semver"],
                row["traceparent"],
                row["parent_id"],
                row["parent_key"],
            ),
            row["seq_from"],
            row["events"],
        )
        for row in rows
    ]
