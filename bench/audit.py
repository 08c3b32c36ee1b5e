"""Was everything done? Counted in PostgreSQL and in the feed after a run, never taken from what the driver saw."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from bench.running import Running

SETTLED_SECONDS_MAX: Final = 60.0
"""After this long something is stuck: an execution, a wait or a publication."""

PAGE: Final = 500


class Missing(Exception):
    """Something that was accepted is not there. Says what."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a run begins."""

    after_id: UUID
    feed_id: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run must have left behind."""

    executions: int
    calls: int
    """Calls of the function, over all executions."""


@dataclass(frozen=True, slots=True)
class Counted:
    executions: int
    turns: int
    history_events: int
    public_events: int
    finished_at: datetime
    """When the last one was committed as finished."""


async def mark(system: Running) -> Mark:
    newest = await system.database.fetchval(
        "SELECT id FROM workflow.workflow_executions ORDER BY id DESC LIMIT 1"
    )
    entries: Any = await system.redis.xrevrange(_feed(system), count=1)
    return Mark(newest or UUID(int=0), entries[0][0].decode() if entries else "0")


async def audited(system: Running, begin: Mark, expected: Expected) -> Counted:
    """Wait until nothing is under way, then count. Raises `Missing`."""
    await finished(system)
    await _nothing_left(system)
    row = await system.database.fetchrow(_EXECUTIONS, begin.after_id)
    history = await system.database.fetchrow(_HISTORY, begin.after_id)
    calls = await system.database.fetchval(_CALLS, begin.after_id)
    assert row is not None
    assert history is not None
    _require("completed executions", row["completed"], expected.executions)
    _require("executions", row["executions"], expected.executions)
    _require("executions with a history", history["executions"], expected.executions)
    _require("executions with a gap in their history", history["gaps"], 0)
    _require("events in history rows", history["events"], history["sequences"])
    _require("calls in history", calls, expected.calls)
    public = await _public_events(system, begin)
    _require("public events", public, history["events"])
    return Counted(
        row["executions"], history["turns"], history["events"], public, row["finished_at"]
    )


async def finished(system: Running) -> None:
    """Return when no execution is unfinished."""
    await _until_none(system, "executions unfinished", _UNFINISHED)


async def _nothing_left(system: Running) -> None:
    await _until_none(system, "waits left", "SELECT count(*) FROM workflow.waits")
    # The row of the last batch goes with a later batch or with a sweep.
    await _until_none(system, "publications left", "SELECT count(*) FROM workflow.publications")


async def _until_none(system: Running, what: str, query: str) -> None:
    deadline = time.monotonic() + SETTLED_SECONDS_MAX
    while count := await system.database.fetchval(query):
        if time.monotonic() > deadline:
            raise Missing(f"{count} {what} after {SETTLED_SECONDS_MAX:.0f} s")
        await asyncio.sleep(0.05)


async def _public_events(system: Running, begin: Mark) -> int:
    """Different CloudEvents of the run's executions in the feed; being delivered twice is allowed."""
    seen: set[str] = set()
    after, first = begin.feed_id, str(begin.after_id)
    while True:
        entries: Any = await system.redis.xrange(_feed(system), min=f"({after}", count=PAGE)
        if not entries:
            return len(seen)
        after = entries[-1][0].decode()
        for _, fields in entries:
            events = orjson.loads(fields[b"m"])
            # Events of earlier executions may be published again at any time.
            seen.update(event["id"] for event in events if event["subject"] > first)


def _feed(system: Running) -> str:
    return f"kwe:events:{system.organization_id}"


def _require(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise Missing(f"{what}: {found}, expected {wanted}")


_UNFINISHED: Final = "SELECT count(*) FROM workflow.execution_state"

_EXECUTIONS: Final = """
SELECT count(*) AS executions, count(*) FILTER (WHERE status = 'completed') AS completed,
       max(finished_at) AS finished_at
FROM workflow.workflow_executions WHERE id > $1
"""

_HISTORY: Final = """
WITH turns AS (
    SELECT execution_id, seq_from, seq_to,
           jsonb_array_length(convert_from(events, 'UTF8')::jsonb) AS events
    FROM workflow.history WHERE execution_id > $1
), each AS (
    SELECT count(*) AS turns, sum(seq_to - seq_from + 1) AS sequences, sum(events) AS events,
           max(seq_to) AS last
    FROM turns GROUP BY execution_id
)
SELECT count(*) AS executions, coalesce(sum(turns), 0)::bigint AS turns,
       coalesce(sum(sequences), 0)::bigint AS sequences, coalesce(sum(events), 0)::bigint AS events,
       count(*) FILTER (WHERE last <> sequences) AS gaps
FROM each
"""

# Only what an executor did carries its name; forks and loops complete without one.
_CALLS: Final = """
SELECT count(*)
FROM workflow.history AS turn, jsonb_array_elements(convert_from(turn.events, 'UTF8')::jsonb) AS event
WHERE turn.execution_id > $1 AND event ->> 'type' = 'task.completed' AND event ? 'worker'
"""
