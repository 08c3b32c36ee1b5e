"""The store of executions: loading control state, and committing batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from common.ids import uuid7
from common.postgres import load_queries
from orchestrator.ports import (
    Acceptance,
    Closed,
    DeadLetter,
    Facts,
    IdempotencyKey,
    Loaded,
    Write,
)
from orchestrator.publications import new_publication_id
from orchestrator.storage.events import event_arguments
from orchestrator.storage.failures import translated

QUERIES = load_queries("orchestrator.storage.sql", "executions.sql")

TASK_EXPECTED_S = 90.0
"""A published task with no result or heartbeat for this long is looked after."""


class PostgresStore:
    """`orchestrator.ports.Store` on a pool of connections."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def load(self, ids: Sequence[UUID]) -> dict[UUID, Loaded]:
        async with translated():
            rows = await self._pool.fetch(QUERIES["load"], ids)
        return {
            row["id"]: Loaded(_facts(row), row["version"], row["snapshot"], row["may_start"])
            for row in rows
        }

    async def load_values(self, references: Sequence[tuple[UUID, str]]) -> dict[str, bytes]:
        owners = [owner for owner, _ in references]
        ids = [UUID(reference) for _, reference in references]
        async with translated():
            rows = await self._pool.fetch(QUERIES["load_values"], owners, ids)
        return {str(row["id"]): row["bytes"] for row in rows}

    async def load_input(self, execution_id: UUID) -> bytes:
        async with translated():
            text = await self._pool.fetchval(QUERIES["load_input"], execution_id)
        return (text or "{}").encode()

    async def commit(self, write: Write) -> None:
        arguments = _arguments(write)
        query = QUERIES["commit"]
        if write.concerns_events:
            query, arguments = QUERIES["commit_with_events"], arguments + event_arguments(write)
        async with translated():
            await self._pool.execute(query, *arguments)

    async def acceptances(
        self, keys: Sequence[IdempotencyKey]
    ) -> dict[tuple[UUID, str, str], Acceptance]:
        async with translated():
            rows = await self._pool.fetch(
                QUERIES["acceptances"],
                [key.organization_id for key in keys],
                [key.route for key in keys],
                [key.key for key in keys],
            )
        return {
            (row["organization_id"], row["route"], row["key"]): Acceptance(
                row["execution_id"], row["fingerprint"]
            )
            for row in rows
        }

    async def closed(self, ids: Sequence[UUID]) -> dict[UUID, Closed]:
        async with translated():
            rows = await self._pool.fetch(QUERIES["closed"], ids)
        return {
            row["id"]: Closed(
                _facts(row), row["status"], _bytes(row["output_payload"]), _bytes(row["error"])
            )
            for row in rows
        }

    async def children(self, waits: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
        async with translated():
            rows = await self._pool.fetch(
                QUERIES["children"], [each for each, _ in waits], [key for _, key in waits]
            )
        return {(row["execution_id"], row["key"]): row["child_id"] for row in rows}

    async def levels_above(self, execution_id: UUID, limit: int) -> int:
        async with translated():
            levels: int = await self._pool.fetchval(QUERIES["levels_above"], execution_id, limit)
        return levels

    async def condemn(
        self,
        execution_id: UUID,
        organization_id: UUID | None,
        event: bytes,
        error: bytes,
        letters: Sequence[DeadLetter],
    ) -> int | None:
        async with translated():
            sequence: int | None = await self._pool.fetchval(
                QUERIES["condemn"],
                execution_id,
                event,
                error.decode(),
                new_publication_id(),
                organization_id,
                [uuid7() for _ in letters],
                [letter.stream for letter in letters],
                [letter.detail for letter in letters],
                [letter.entry for letter in letters],
            )
        return sequence


def _facts(row: asyncpg.Record) -> Facts:
    parent_id = row["parent_id"]
    return Facts(
        _plain(row["id"]),
        _plain(row["organization_id"]),
        row["workflow_id"],
        row["workflow_version"],
        row["semver"],
        row["traceparent"],
        None if parent_id is None else _plain(parent_id),
        row["parent_key"],
    )


def _plain(id: UUID) -> UUID:
    """The standard library's: orjson does not know asyncpg's own subclass."""
    return UUID(int=id.int)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


def _arguments(write: Write) -> tuple[Any, ...]:
    """The batch as the parallel arrays of `workflow.commit_batch`, in its order."""
    # Two batches that share keys must take them in the same order, or they deadlock.
    keys = sorted(
        write.idempotency, key=lambda each: (each.organization_id.int, each.route, each.key)
    )
    executions = write.executions
    return (
        [x.facts.execution_id for x in executions],
        [x.facts.organization_id for x in executions],
        [x.facts.workflow_id for x in executions],
        [x.facts.workflow_version for x in executions],
        [x.facts.semver for x in executions],
        [x.status for x in executions],
        [x.input.decode() for x in executions],
        [_text(x.output) for x in executions],
        [_text(x.error) for x in executions],
        [orjson.dumps(x.labels).decode() if x.labels else "{}" for x in executions],
        [x.facts.traceparent for x in executions],
        [x.facts.parent_id for x in executions],
        [x.facts.parent_key for x in executions],
        [k.organization_id for k in keys],
        [k.route for k in keys],
        [k.key for k in keys],
        [k.fingerprint for k in keys],
        [k.execution_id for k in keys],
        [s.execution_id for s in write.states],
        [s.organization_id for s in write.states],
        [s.expected for s in write.states],
        [s.version for s in write.states],
        [s.snapshot for s in write.states],
        [s.final for s in write.states],
        [h.execution_id for h in write.history],
        [h.organization_id for h in write.history],
        [h.seq_from for h in write.history],
        [h.seq_to for h in write.history],
        [h.events for h in write.history],
        *_wait_arguments(write),
        [p.owner_id for p in write.payloads],
        [p.id for p in write.payloads],
        [p.organization_id for p in write.payloads],
        [p.raw for p in write.payloads],
        [f.execution_id for f in write.phases],
        [f.status for f in write.phases],
        [_text(f.output) for f in write.phases],
        [_text(f.error) for f in write.phases],
        write.publication,
        write.publication_body,
        write.paid,
    )


def _wait_arguments(write: Write) -> tuple[Any, ...]:
    opened = write.opened
    return (
        [w.execution_id for w in opened],
        [w.key for w in opened],
        [w.kind for w in opened],
        [w.organization_id for w in opened],
        [w.partition for w in opened],
        [w.reference for w in opened],
        [w.due_ms for w in opened],
        [w.queue for w in opened],
        [w.published for w in opened],
        [TASK_EXPECTED_S if w.published else None for w in opened],
        [w.child_id for w in opened],
        [w.body for w in opened],
        [execution_id for execution_id, _ in write.closed],
        [key for _, key in write.closed],
    )
