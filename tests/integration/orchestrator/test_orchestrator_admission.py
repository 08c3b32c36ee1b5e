"""Limits on how many executions of an organisation are under way at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from common.ids import uuid7

Call = Callable[..., dict[str, Any]]


@pytest.fixture
async def busy(engine: Any, call: Call) -> UUID:
    """An organisation that may run two executions at once, with a workflow `tests/held`."""
    organization: UUID = await engine.add_organization(uuid7(), concurrent=2)
    await engine.register(
        "held", [{"a": call("wait", gate="${ .gate }")}], organization=organization
    )
    return organization


async def start_held(engine: Any, organization: UUID, count: int) -> list[UUID]:
    return [
        await engine.start("tests/held", {"gate": str(n)}, organization_id=organization)
        for n in range(count)
    ]


async def statuses(engine: Any, ids: list[UUID]) -> Counter[str]:
    return Counter([await engine.status(id) for id in ids])


async def test_those_beyond_the_limit_wait_their_turn_and_run_as_others_finish(
    engine: Any, busy: UUID
) -> None:
    ids = await start_held(engine, busy, 5)
    for id in ids[:2]:
        await engine.waits_for(id, "task")
    assert await statuses(engine, ids) == {"running": 2, "pending": 3}
    assert [len(await engine.waits(id, "admission")) for id in ids] == [0, 0, 1, 1, 1]

    for number in range(5):
        # In order of their acceptance.
        await engine.waits_for(ids[number], "task")
        assert (await statuses(engine, ids))["running"] <= 2
        engine.functions.gate(str(number)).set()
        await engine.outcome(ids[number])
    await engine.nothing_left()


async def test_a_pending_execution_can_be_cancelled_and_gives_up_its_turn(
    engine: Any, busy: UUID
) -> None:
    ids = await start_held(engine, busy, 4)
    await engine.waits_for(ids[1], "task")

    assert (await engine.control("cancel", ids[2], organization=busy)).status == 202
    assert await engine.status(ids[2]) == "cancelled"
    assert [event["type"] for event in await engine.history(ids[2])] == ["workflow.cancelled"]

    engine.functions.gate("0").set()
    await engine.waits_for(ids[3], "task")
    for gate in "13":
        engine.functions.gate(gate).set()
    for number in (0, 1, 3):
        await engine.outcome(ids[number])
    await engine.nothing_left()


async def test_the_default_limit_holds_for_organisations_without_their_own(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    async with engine.orchestrator(max_concurrent_executions=1), engine.executor():
        await engine.register("held", [{"a": call("wait", gate="${ .gate }")}])
        ids = await start_held(engine, engine.organization, 3)
        await engine.waits_for(ids[0], "task")
        assert await statuses(engine, ids) == {"running": 1, "pending": 2}
        for gate in "012":
            engine.functions.gate(gate).set()
        for id in ids:
            await engine.outcome(id)


async def test_a_child_that_is_waited_for_needs_no_slot(build_engine: Any, call: Call) -> None:
    engine = build_engine
    async with engine.orchestrator(max_concurrent_executions=1), engine.executor():
        await engine.register("inner", [{"a": call("echo", n=1)}])
        inner = {"namespace": "tests", "name": "inner", "version": "1.0.0"}
        outer = await engine.register("outer", [{"sub": {"run": {"workflow": inner}}}])

        id = await engine.start(outer)

        assert await engine.outcome(id) == {"n": 1}


async def test_a_restart_forgets_nobody_who_waits(build_engine: Any, call: Call) -> None:
    engine = build_engine
    async with engine.orchestrator(max_concurrent_executions=1):
        await engine.register("held", [{"a": call("wait", gate="${ .gate }")}])
        ids = await start_held(engine, engine.organization, 3)
        await engine.waits_for(ids[0], "task")
    for gate in "012":
        engine.functions.gate(gate).set()
    async with engine.orchestrator(max_concurrent_executions=1), engine.executor():
        await asyncio.gather(*[engine.outcome(id) for id in ids])
        await engine.nothing_left()
