"""The store behind `orchestrator.events`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from common.postgres import load_queries
from orchestrator.ports import Arrival, NewEvent, Write
from orchestrator.storage.failures import translated
from workflow.core.event_filters import correlation_fingerprint

QUERIES = load_queries("orchestrator.storage.sql", "events.sql")

Told = tuple[UUID, UUID]


class PostgresEvents:
    """`orchestrator.events.EventStore` on a pool of connections."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    async def keep(self, events: Sequence[NewEvent]) -> int:
        columns = zip(*(each[:4] for each in events), strict=True) if events else ((), (), (), ())
        async with translated():
            return int(await self._pool.fetchval(QUERIES["keep"], *(list(c) for c in columns)))

    async def match(self, events: Sequence[tuple[UUID, bytes]]) -> list[Told]:
        rows = await self._fetch("to_match", [e[0] for e in events], [e[1] for e in events])
        if not rows:
            return []
        programs = await self._programs(rows)
        sought = [each for row in rows for each in _sought(row, programs)]
        columns = zip(*sought, strict=True)
        told = await self._fetch("offer", *(list(column) for column in columns))
        await self._fetch("mark_matched", [row["number"] for row in rows])
        return _told(told)

    async def look(self, listeners: Sequence[tuple[UUID, str]]) -> list[Told]:
        asked = [each for each, _ in listeners], [key for _, key in listeners]
        told = await self._fetch("look", *asked)
        await self._fetch("mark_looked", *asked)
        return _told(told)

    async def arrivals(self, executions: Sequence[UUID], limit: int) -> list[Arrival]:
        return [
            Arrival(_plain(row["execution_id"]), row["key"], row["number"], row["raw"])
            for row in await self._fetch("arrivals", executions, limit)
        ]

    async def offered(self, executions: Sequence[UUID]) -> list[Told]:
        return _told(await self._fetch("offered", executions))

    async def unmatched(self, age_s: float, limit: int) -> list[tuple[UUID, bytes]]:
        rows = await self._fetch("unmatched", age_s, limit)
        return [(row["organization_id"], row["fingerprint"]) for row in rows]

    async def unlooked(self, age_s: float, limit: int) -> list[tuple[UUID, str]]:
        rows = await self._fetch("unlooked", age_s, limit)
        return [(row["execution_id"], row["key"]) for row in rows]

    async def unanswered(self, age_s: float, limit: int) -> list[Told]:
        return _told(await self._fetch("unanswered", age_s, limit))

    async def body(self, organization_id: UUID, owner_id: UUID, id: UUID) -> bytes | None:
        rows = await self._fetch("body", owner_id, id, organization_id)
        return rows[0]["bytes"] if rows else None

    async def _programs(
        self, rows: Sequence[asyncpg.Record]
    ) -> Mapping[tuple[UUID, str], list[str]]:
        """The correlations that listeners of an organisation have for a type."""
        kinds = {(row["organization_id"], type) for row in rows for type in (row["type"], "")}
        found = await self._fetch(
            "correlations", [organization for organization, _ in kinds], [type for _, type in kinds]
        )
        programs: defaultdict[tuple[UUID, str], list[str]] = defaultdict(list)
        for row in found:
            programs[row["organization_id"], row["type"]].append(row["correlation"])
        return programs

    async def _fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with translated():
            rows: list[asyncpg.Record] = await self._pool.fetch(QUERIES[query], *arguments)
            return rows


def event_arguments(write: Write) -> tuple[Any, ...]:
    """The arrays of `workflow.commit_events`, in its order."""
    settled, emitted = write.settled, write.emitted
    return (
        [e.organization_id for e in emitted],
        [e.fingerprint for e in emitted],
        [e.type for e in emitted],
        [e.raw for e in emitted],
        [e.execution_id for e in emitted],
        *([getattr(each, name) for each in write.listeners] for name in _LISTENER),
        [s.execution_id for s in settled],
        [s.key for s in settled],
        [s.number for s in settled],
        ["consumed" if s.is_consumed else "refused" for s in settled],
        [execution_id for execution_id, _ in write.unlistened],
        [key for _, key in write.unlistened],
        write.forgotten,
    )


_LISTENER = (
    *("execution_id", "key", "organization_id", "listener", "type", "correlation", "expected"),
)


def _sought(
    row: asyncpg.Record, programs: Mapping[tuple[UUID, str], list[str]]
) -> list[tuple[int, str, str, str | None]]:
    """Under which type, correlation and value the listeners of an event are found."""
    sought: list[tuple[int, str, str, str | None]] = []
    event: dict[str, Any] | None = None
    for type in (row["type"], ""):
        sought.append((row["number"], type, "", ""))
        for program in programs.get((row["organization_id"], type), ()):
            event = orjson.loads(row["raw"]) if event is None else event
            value = correlation_fingerprint(program, event)
            sought.append((row["number"], type, program, value))
    return sought


def _told(rows: Sequence[asyncpg.Record]) -> list[Told]:
    pairs = ((_plain(row["organization_id"]), _plain(row["execution_id"])) for row in rows)
    return list(dict.fromkeys(pairs))


def _plain(id: UUID) -> UUID:
    """The standard library's: orjson does not know asyncpg's own subclass."""
    return UUID(int=id.int)
