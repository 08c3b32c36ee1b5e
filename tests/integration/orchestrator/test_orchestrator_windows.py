"""Room in the streams is shared: many tasks of one organisation do not stand before everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from common.ids import uuid7
from common.streams import names

Call = Callable[..., dict[str, Any]]


async def test_few_tasks_of_one_organisation_do_not_wait_behind_many_of_another(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    other = await engine.add_organization(uuid7())
    longest = 0

    async def watch() -> None:
        nonlocal longest
        while True:
            longest = max(longest, await engine.link.call(b"XLEN", names.tasks("work")))
            await asyncio.sleep(0.005)

    async with engine.orchestrator(queue_window=10):
        branches = [{f"b{n}": call("echo", n=n)} for n in range(200)]
        many = await engine.start(
            await engine.register("many", [{"split": {"fork": {"branches": branches}}}])
        )
        await engine.waits_for(many, "task", 200)
        few = await engine.register("few", [{"a": call("echo", n=1)}], organization=other)
        others = [await engine.start(few, organization_id=other) for _ in range(5)]
        ready = await engine.pool.fetchval(
            "SELECT count(*) FROM workflow.waits WHERE published = false"
        )
        assert ready >= 180

        watching = asyncio.create_task(watch())
        async with engine.executor(slots=4):
            for id in [many, *others]:
                await engine.outcome(id)
            await engine.nothing_left()
        watching.cancel()

    ends = [(await engine.row(id))["finished_at"] for id in others]
    assert max(ends) < (await engine.row(many))["finished_at"]
    last_ms = max(ends).timestamp() * 1000
    earlier = [
        event
        for event in await engine.history(many)
        if event["type"] == "task.completed" and event["at"] < last_ms
    ]
    assert len(earlier) < 100, "the few waited for most of the many"
    # A few more than the window, when a batch is being stored while room is counted.
    assert longest <= 30
