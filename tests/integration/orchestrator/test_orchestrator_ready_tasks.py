"""Taking up tasks that waited for room: everybody in turn, and at a cost that does not follow how many wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest

from common.ids import uuid7
from common.postgres import load_queries

QUERIES = load_queries("orchestrator.storage.sql", "sweeps.sql")


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def waiting(connection: Any, organization: UUID, count: int) -> None:
    await connection.execute(
        "INSERT INTO workflow.waits (execution_id, key, kind, organization_id, partition, opened_at, queue, published, body) "
        "SELECT gen_random_uuid(), n::text, 'task', $1, 0, now() + make_interval(secs => n), 'work', false, '' "
        "FROM generate_series(1, $2) AS n",
        organization,
        count,
    )


async def take(connection: Any, room: int) -> list[tuple[UUID, int]]:
    """Organisation and number of what was taken."""
    rows = await connection.fetch(QUERIES["take_ready"], "work", room, 90.0)
    organizations = await connection.fetch(
        "SELECT execution_id, organization_id FROM workflow.waits"
    )
    of = {row["execution_id"]: row["organization_id"] for row in organizations}
    return [(of[row["execution_id"]], int(row["key"])) for row in rows]


async def test_every_organisation_gets_its_turn_and_its_oldest_first(connection: Any) -> None:
    large, small, smaller = uuid7(), uuid7(), uuid7()
    await waiting(connection, large, 50)
    await waiting(connection, small, 4)
    await waiting(connection, smaller, 1)

    first = await take(connection, 7)
    assert Counter(each for each, _ in first) == {large: 3, small: 3, smaller: 1}
    assert sorted(number for each, number in first if each == large) == [1, 2, 3]
    assert Counter(each for each, _ in await take(connection, 10)) == {large: 9, small: 1}
    assert len(await take(connection, 100)) == 38
    assert await take(connection, 100) == []


async def test_the_cost_does_not_follow_the_number_of_tasks_that_wait(connection: Any) -> None:
    for count in (20_000, 50):
        await waiting(connection, uuid7(), count)
    await connection.execute("ANALYZE workflow.waits")
    query = f"EXPLAIN (ANALYZE, FORMAT JSON) {QUERIES['take_ready']}"

    plan = orjson.loads(await connection.fetchval(query, "work", 10, 90.0))[0]["Plan"]

    assert 10 <= most_rows(plan) < 500


def most_rows(node: dict[str, Any]) -> float:
    """Of all steps of a plan, how many rows went through the busiest."""
    rows: float = node["Actual Rows"] * node["Actual Loops"]
    return max([rows, *(most_rows(each) for each in node.get("Plans", ()))])
