"""Durable instants, and the limits of time and tries that an operator sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[..., dict[str, Any]]


async def test_a_timer_outlives_the_orchestrator_that_opened_it(build_engine: Any) -> None:
    engine = build_engine
    async with engine.orchestrator():
        workflow = await engine.register(
            "pause", [{"a": {"wait": {"milliseconds": 700}}}, {"b": {"set": {"n": 1}}}]
        )
        id = await engine.start(workflow)
    (timer,) = await engine.waits(id, "timer")
    assert await engine.status(id) == "waiting"

    async with engine.orchestrator():
        assert await engine.outcome(id) == {"n": 1}

    row = await engine.row(id)
    assert row["finished_at"] >= timer["due_at"]
    await engine.nothing_left()


async def test_an_execution_ends_at_the_longest_duration_that_is_allowed(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    async with engine.orchestrator(max_workflow_duration_ms=600), engine.executor():
        id = await engine.start(await engine.register("held", [{"a": call("wait", gate="never")}]))

        error = await engine.outcome(id, status="faulted")

        assert error["type"].endswith("/timeout")
        history = await engine.history(id)
        assert history[-1]["at"] - history[0]["at"] >= 600
        await engine.nothing_left()


async def test_a_definition_gets_no_more_tries_than_are_allowed(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    policy = {"delay": {"milliseconds": 20}, "limit": {"attempt": {"count": 9}}}
    gave_up = [{"gave": {"set": {"gave": "up"}}}]
    do = [{"t": {"try": [{"a": call("fail")}], "catch": {"retry": policy, "do": gave_up}}}]
    async with engine.orchestrator(max_retry_attempts=2), engine.executor():
        id = await engine.start(await engine.register("retried", do))

        assert await engine.outcome(id) == {"gave": "up"}
        types = [event["type"] for event in await engine.history(id)]
        assert types.count("task.retried") == 2
        assert list(engine.functions.runs.values()) == [3]
        await engine.nothing_left()
