"""`kwe admin partitions`: what is kept, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import orjson
import pytest

from common.ids import uuid7
from kwe.cli.main import run

NOW = datetime.now(UTC)


@pytest.fixture
def shown(database: str, monkeypatch: Any, capsys: Any) -> Any:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.delenv("RETENTION_DAYS", raising=False)

    def call(*arguments: str) -> dict[str, Any]:
        capsys.readouterr()
        assert run(["admin", "partitions", "-o", "json", *arguments]) == 0
        return {one["month"]: one for one in orjson.loads(capsys.readouterr().out)}

    return call


async def _old_month(dsn: str, *, unfinished: bool) -> None:
    """January 2020, with an execution that ended or did not."""
    connection = await asyncpg.connect(dsn)
    try:
        for table in ("workflow_executions", "history", "payloads"):
            await connection.execute(
                f"CREATE TABLE workflow.{table}_202001 PARTITION OF workflow.{table} FOR VALUES FROM "
                "(workflow.uuid7_floor('2020-01-01Z')) TO (workflow.uuid7_floor('2020-02-01Z'))"
            )
        if unfinished:
            at_ms = int(datetime(2020, 1, 15, tzinfo=UTC).timestamp() * 1000)
            await connection.execute(
                "INSERT INTO workflow.execution_state VALUES ($1, $2, 1, '')",
                *(uuid7(at_ms=at_ms), uuid7()),
            )
    finally:
        await connection.close()


def test_it_says_what_becomes_of_each_month(shown: Any, database: str, fixture_loop: Any) -> None:
    fixture_loop.run(_old_month(database, unfinished=False))

    assert shown()["2020-01"]["fate"] == "kept: RETENTION_DAYS is not set"
    found = shown("--days", "30")
    assert found["2020-01"]["fate"] == "dropped in the next round"
    assert found[f"{NOW:%Y-%m}"]["fate"] == "in use"
    assert found["default"]["unfinished"] is None
    ahead = (NOW.replace(day=1) + timedelta(days=70)).strftime("%Y-%m")
    assert found.get(ahead, {"fate": "ahead of its time"})["fate"] == "ahead of its time"


def test_it_says_how_many_executions_hold_a_month(
    shown: Any, database: str, fixture_loop: Any
) -> None:
    fixture_loop.run(_old_month(database, unfinished=True))

    assert shown("--days", "30")["2020-01"]["fate"] == "held by 1 unfinished"


def test_a_table_for_people(shown: Any, capsys: Any) -> None:
    assert run(["admin", "partitions", "--days", "90"]) == 0
    assert f"{NOW:%Y-%m}" in capsys.readouterr().out


def test_declaring_a_restore_by_other_means_leaves_the_mark(
    shown: Any, database: str, fixture_loop: Any
) -> None:
    assert run(["admin", "declare-restored"]) == 0

    async def mark() -> str:
        connection = await asyncpg.connect(database)
        try:
            return str(
                await connection.fetchval("SELECT redis_generation FROM workflow.installation")
            )
        finally:
            await connection.close()

    assert fixture_loop.run(mark()).startswith("restored:")
