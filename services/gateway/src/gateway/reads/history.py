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

FIRST_EXECUTION: Final = UUID(int=0)


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
    """Where a page of the organisation's events begins: after this turn."""

    at: datetime
    execution_id: UUID = FIRST_EXECUTION
    sequence_from: int = 0


async def read_subject(server: Server, organization_id: UUID, execution_id: UUID) -> Subject | None:
    async with server.transaction(organization_id) as connection:
        row = await connection.fetchrow(EXECUTIONS["get_facts"], organization_id, execution_id)
    if row is None:
        return None
    return Subject(_facts(organization_id, execution_id, row), row["is_finished"])


async def read_turns(
    connection: Connection, organization_id: UUID, execution_id: UUID, *, after: int, limit: int
) -> list[Turn]:
    """At most `limit` turns with events after the sequence `after`, in order."""
    rows = await connection.fetch(
        HISTORY["turns_after"], organization_id, execution_id, after, limit
    )
    return [Turn(row["seq_from"], row["events"]) for row in rows]


async def read_feed(
    database: Database, organization_id: UUID, after: FeedPosition, limit: int
) -> tuple[list[dict[str, Any]], FeedPosition]:
    """Public events of at most `limit` turns, and where the next page begins.

    The next page never begins inside the last moments: turns with an earlier time may still be committing there.
    They come (again) with the next page; consumers know what they have by its id.
    """
    async with database.primary.transaction(organization_id) as connection:
        now: datetime = await connection.fetchval(HISTORY["feed_clock"])
        rows = await connection.fetch(
            HISTORY["feed_after"],
            organization_id,
            after.at,
            after.execution_id,
            after.sequence_from,
            limit,
            now,
        )
    return list(_cloud_events(organization_id, rows)), _next_position(rows, after, now)


def _cloud_events(organization_id: UUID, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    for row in rows:
        facts = _facts(organization_id, row["execution_id"], row)
        for sequence, event in Turn(row["seq_from"], row["events"]).events_after(0):
            yield to_cloud_event(event, facts, sequence)


def _next_position(rows: Sequence[Row], after: FeedPosition, now: datetime) -> FeedPosition:
    settled = now - timedelta(seconds=SETTLED_SECONDS)
    position = after
    for row in rows:
        if row["at"] >= settled:
            break
        position = FeedPosition(row["at"], UUID(int=row["execution_id"].int), row["seq_from"])
    return position


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
