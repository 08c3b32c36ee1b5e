"""Several orchestrators: they share the partitions, and one that leaves is missed by nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from common.contracts.tasks import TaskRequested, TaskSucceeded
from orchestrator.deliveries import Delivery

Call = Callable[..., dict[str, Any]]


async def test_replicas_share_the_partitions_and_take_over_from_one_that_leaves(
    build_engine: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = build_engine
    monkeypatch.setenv("INSTANCE", "first")
    async with engine.orchestrator() as first, engine.executor():
        workflow = await engine.register("two", [{"a": call("echo")}, {"b": call("echo", n=2)}])
        monkeypatch.setenv("INSTANCE", "second")
        async with engine.orchestrator() as second:

            async def shared() -> bool:
                both = [*first.intake.partitions, *second.intake.partitions]
                return sorted(both) == list(range(8)) and bool(first.intake.partitions)

            await engine.until(shared, "the partitions to be shared out")
            assert len(second.intake.partitions) == 4
            ids = await asyncio.gather(*[engine.start(workflow) for _ in range(20)])
            for id in ids:
                assert await engine.outcome(id) == {"n": 2}

        async def alone() -> bool:
            return tuple(first.intake.partitions) == tuple(range(8))

        await engine.until(alone, "the partitions to be taken over")
        for id in await asyncio.gather(*[engine.start(workflow) for _ in range(20)]):
            await engine.outcome(id)
        await engine.nothing_left()


async def test_draining_under_load_loses_nothing(build_engine: Any, call: Call) -> None:
    engine = build_engine
    steps = [{name: call("echo", n=1)} for name in "abc"]
    accepted: set[Any] = set()

    async def submit(workflow: str) -> None:
        while len(accepted) < 120:
            accepted.add(await engine.start(workflow))

    async with engine.executor(slots=8):
        async with engine.orchestrator():
            workflow = await engine.register("three", steps)
            submitting = [asyncio.create_task(submit(workflow)) for _ in range(8)]

            async def half() -> bool:
                return len(accepted) >= 60

            await engine.until(half, "half of the load")
        # It left in the middle; what is asked meanwhile waits in the streams for the next one.
        async with engine.orchestrator():
            await asyncio.gather(*submitting)
            for id in accepted:
                assert await engine.outcome(id) == {"n": 1}
            await engine.nothing_left()

    events = set()
    for id in accepted:
        history = await engine.history(id)
        assert [event["type"] for event in history].count("task.completed") == 3
        events |= {f"{id}/{n}" for n in range(1, len(history) + 1)}
    assert events <= await engine.feed()
    assert set(engine.functions.runs.values()) == {1}


async def test_a_replica_that_remembers_an_older_state_drops_no_message(
    build_engine: Any, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it remembers says that the message is about nothing that is open; only PostgreSQL knows better."""
    engine = build_engine
    monkeypatch.setenv("INSTANCE", "first")
    async with engine.orchestrator() as first:
        monkeypatch.setenv("INSTANCE", "second")
        async with engine.orchestrator() as second:
            steps = [{name: call("wait", gate="never")} for name in "abc"]
            id = await engine.start(await engine.register("three", steps))
            for replica, name in ((first, "a"), (second, "b"), (first, "c")):
                replica.dispatcher.feed([Delivery(await result_of(engine, id, name))])

            assert await engine.outcome(id) == {"from": "c"}


async def result_of(engine: Any, id: UUID, name: str) -> TaskSucceeded:
    async def open_task() -> TaskRequested | None:
        for wait in await engine.waits(id, "task"):
            task = TaskRequested.model_validate_json(wait["body"])
            if task.name == name:
                return task
        return None

    task = await engine.until(open_task, f"task {name} to be open")
    return TaskSucceeded(
        organization_id=task.organization_id,
        execution_id=id,
        key=task.key,
        task_id=task.task_id,
        attempt=task.attempt,
        output={"from": name},
    )
