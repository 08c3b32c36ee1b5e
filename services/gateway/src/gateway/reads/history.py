"""Histories: an execution's events by sequence, and an organisation's by time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from gateway.reads.database import Connection, Database, Row, Server
from gateway.reads.queries import EXECUTIONS, HISTORY
from workflow.core.history import ExecutionFacts, to_cloud_event

SETTLED_SECONDS: Final = 15
"""A turn gets its time before it commits. What is older than this has no more neighbours to come."""

WINDOW_FIRST: Final = timedelta(seconds=10)
WINDOW_FACTOR: Final = 8

FIRST_EXECUTION: Final = UUID(int=0)

BYTES_AT_ONCE: Final = 1_000_000
"""About as much of a history is read at once; one turn of a loop may take half of it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A row of history."""

    sequence_from: int
    raw: bytes
    """A JSON array of history events."""

    def events_after(self, sequence: int) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, event in enumerate(orjson.loads(self.raw), start=self.sequence_from):
            if number > sequence:
                yield number, event


@dataclass(frozen=True, slots=True)
class Subject:
    """What events say about their execution."""

    facts: ExecutionFacts
    is_finished: bool


@dataclass(frozen=True, slots=True)
class FeedPosition:
    """A place among the organisation's turns: after this one."""

    at: datetime
    execution_id: UUID = FIRST_EXECUTION
    sequence_from: int = 0


@dataclass(frozen=True, slots=True)
class FeedWalk:
    """Where a walk through the organisation's turns stands.

    It goes all the way to now. `settled` lags behind: before it, no turn can appear any more. The next walk begins there
    and repeats the last moments, because turns with an earlier time may have been committing during this one.
    """

    position: FeedPosition
    settled: FeedPosition

    @classmethod
    def beginning_after(cls, position: FeedPosition) -> FeedWalk:
        return cls(position, position)


async def read_subject(server: Server, organization_id: UUID, execution_id: UUID) -> Subject | None:
    async with server.transaction(organization_id) as connection:
        row = await connection.fetchrow(EXECUTIONS["get_facts"], organization_id, execution_id)
    if row is None:
        return None
    return Subject(_facts(organization_id, execution_id, row), row["is_finished"])


async def read_turns(
    connection: Connection, organization_id: UUID, execution_id: UUID, *, after: int, limit: int
) -> tuple[list[Turn], bool]:
    """At most `limit` turns with events after the sequence `after`, in order; whether there may be more."""
    rows = await connection.fetch(
        HISTORY["turns_after"], organization_id, execution_id, after, limit, BYTES_AT_ONCE
    )
    more = bool(rows) and (rows[0]["found"] == limit or rows[0]["found"] > len(rows))
    return [Turn(row["seq_from"], row["events"]) for row in rows], more


async def read_feed(
    database: Database, organization_id: UUID, walk: FeedWalk, limit: int
) -> tuple[list[dict[str, Any]], FeedWalk, bool]:
    """Public events of at most `limit` turns, where to go on, and whether the walk has more to come."""
    async with database.primary.transaction(organization_id) as connection:
        now: datetime = await connection.fetchval(HISTORY["feed_clock"])
        rows = await _next_turns(connection, organization_id, walk.position, limit, now)
    events = list(_cloud_events(organization_id, rows))
    settled = _settled(rows, walk.settled, now)
    if len(rows) < limit:
        return events, FeedWalk.beginning_after(settled), False
    return events, FeedWalk(_position(rows[-1]), settled), True


async def _next_turns(
    connection: Connection, organization_id: UUID, after: FeedPosition, limit: int, now: datetime
) -> list[Row]:
    """Looks a little ahead first and further only if it must: sorting everything since would cost each page the gap."""
    ahead = WINDOW_FIRST
    while True:
        until = min(after.at + ahead, now) if ahead < now - after.at else now
        rows: list[Row] = await connection.fetch(
            HISTORY["feed_after"],
            organization_id,
            after.at,
            after.execution_id,
            after.sequence_from,
            limit,
            until,
        )
        if len(rows) >= limit or until >= now:
            return rows
        ahead *= WINDOW_FACTOR


def _cloud_events(organization_id: UUID, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        facts = _facts(organization_id, row["execution_id"], row)
        for sequence, event in Turn(row["seq_from"], row["events"]).events_after(0):
            yield to_cloud_event(event, facts, sequence)


def _settled(rows: Sequence[Row], before: FeedPosition, now: datetime) -> FeedPosition:
    boundary = now - timedelta(seconds=SETTLED_SECONDS)
    found = before
    for row in rows:
        if row["at"] >= boundary:
            break
        found = _position(row)
    return found


def _position(row: Row) -> FeedPosition:
    return FeedPosition(row["at"], UUID(int=row["execution_id"].int), row["seq_from"])


def _facts(organization_id: UUID, execution_id: UUID, row: Row) -> ExecutionFacts:
    namespace, _, name = row["workflow_id"].partition("/")
    return ExecutionFacts(
        execution_id=str(execution_id),
        organization_id=str(organization_id),
        namespace=namespace,
        name=name,
        version=row["semver"],
        traceparent=row["traceparent"],
    )
