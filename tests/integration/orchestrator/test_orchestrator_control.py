"""Cancel, suspend and resume, through the streams and against the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from common.ids import uuid7

Call = Callable[..., dict[str, Any]]


async def test_a_cancelled_execution_leaves_nothing_and_its_task_stops(
    engine: Any, call: Call
) -> None:
    workflow = await engine.register("held", [{"a": call("wait", gate="never")}])
    id = await engine.start(workflow)
    await engine.waits_for(id, "task")

    reply = await engine.control("cancel", id)

    assert (reply.status, reply.body["status"]) == (202, "cancelled")
    assert await engine.outcome(id, status="cancelled") == {
        "title": "Cancelled",
        "detail": "a test",
    }
    await engine.nothing_left()
    assert [event["type"] for event in await engine.history(id)][-1] == "workflow.cancelled"


async def test_controls_of_a_finished_execution_are_conflicts(engine: Any, call: Call) -> None:
    id = await engine.start(await engine.register("quick", [{"a": call("echo")}]))
    await engine.outcome(id)

    replies = [await engine.control(action, id) for action in ("cancel", "suspend", "resume")]

    assert [(reply.status, reply.code) for reply in replies] == [(409, "already_finished")] * 3


async def test_controls_of_strangers_find_nothing(engine: Any, call: Call) -> None:
    stranger = await engine.add_organization(uuid7())
    workflow = await engine.register("held", [{"a": call("wait", gate="open")}])
    id = await engine.start(workflow)
    await engine.waits_for(id, "task")

    for action in ("cancel", "suspend", "resume"):
        assert (await engine.control(action, id, organization=stranger)).status == 404
    engine.functions.gate("open").set()
    await engine.outcome(id)

    assert (await engine.control("cancel", id, organization=stranger)).status == 404
    assert (await engine.control("cancel", uuid7())).status == 404


async def test_a_suspended_execution_records_what_ends_and_opens_nothing_until_resumed(
    engine: Any, call: Call
) -> None:
    workflow = await engine.register(
        "two", [{"a": call("wait", gate="open")}, {"b": call("echo", n=2)}]
    )
    id = await engine.start(workflow)
    await engine.waits_for(id, "task")
    assert (await engine.control("suspend", id)).body["status"] == "suspended"

    engine.functions.gate("open").set()

    async def recorded() -> bool:
        return "task.completed" in [event["type"] for event in await engine.history(id)]

    await engine.until(recorded, "the result of the first task in the history")
    assert await engine.status(id) == "suspended"
    assert [wait["kind"] for wait in await engine.waits(id)] == ["suspended"]

    await engine.control("resume", id)
    assert await engine.outcome(id) == {"n": 2}
    types = [event["type"] for event in await engine.history(id)]
    assert types.index("workflow.suspended") < types.index("workflow.resumed")


async def test_a_timer_that_comes_due_while_suspended_fires_after_the_resumption(
    engine: Any,
) -> None:
    workflow = await engine.register("pause", [{"a": {"wait": {"milliseconds": 1000}}}])
    id = await engine.start(workflow)
    await engine.control("suspend", id)
    if await engine.status(id) == "completed":
        raise AssertionError("the timer was faster than the suspension: lengthen it")

    async def due() -> bool:
        (timer,) = await engine.waits(id, "timer")
        return bool(await engine.pool.fetchval("SELECT $1 < now()", timer["due_at"]))

    await engine.until(due, "the timer to come due")
    # Two rounds of the sweep that fires timers leave it alone.
    assert (await engine.control("suspend", id)).body["status"] == "suspended"
    assert await engine.status(id) == "suspended"

    await engine.control("resume", id)
    assert await engine.outcome(id) == {}


async def test_suspending_before_the_start_holds_it_back(engine: Any, call: Call) -> None:
    busy = await engine.add_organization(uuid7(), concurrent=1)
    workflow = await engine.register(
        "held", [{"a": call("wait", gate="${ .gate }")}], organization=busy
    )
    first = await engine.start(workflow, {"gate": "first"}, organization_id=busy)
    second = await engine.start(workflow, {"gate": "second"}, organization_id=busy)
    await engine.waits_for(first, "task")
    assert await engine.status(second) == "pending"

    reply = await engine.control("suspend", second, organization=busy)

    assert reply.status == 409
    assert reply.code == "not_started"
    engine.functions.gate("first").set()
    engine.functions.gate("second").set()
    assert await engine.outcome(second) == {"gate": "second"}
