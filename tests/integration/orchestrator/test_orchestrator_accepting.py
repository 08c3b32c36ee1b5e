"""Starts: once for each idempotency key, refused or shed where they cannot be, and never at the cost of others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from common.contracts.base import encode
from common.contracts.tasks import TaskRequested, TaskSucceeded
from common.ids import partition_of, uuid7
from common.streams import names
from common.streams.publisher import Outgoing

Call = Callable[..., dict[str, Any]]


async def test_the_same_key_gives_the_same_execution(engine: Any, call: Call) -> None:
    workflow = await engine.register("quick", [{"a": call("echo")}])
    first = await engine.ask_start(engine.start_of(workflow, key="k"))
    again = await engine.ask_start(engine.start_of(workflow, key="k"))
    other = await engine.ask_start(engine.start_of(workflow, key="k", fingerprint="another"))

    assert (again.status, again.body["id"]) == (202, first.body["id"])
    assert again.body["replayed"] is True
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert await engine.pool.fetchval("SELECT count(*) FROM workflow.workflow_executions") == 1


async def test_what_cannot_be_started_is_refused(engine: Any) -> None:
    unknown = await engine.ask_start(engine.start_of("tests/unknown"))
    old = uuid7(at_ms=int(time.time() * 1000) - 400_000)
    await engine.register("set", [{"a": {"set": {"n": 1}}}])
    skewed = await engine.ask_start(engine.start_of("tests/set", execution_id=old))

    assert (unknown.status, unknown.code) == (404, "workflow_not_found")
    assert (skewed.status, skewed.code) == (400, "clock_skew")
    await engine.nothing_left()


async def test_a_start_nobody_waits_for_any_more_is_shed(engine: Any, call: Call) -> None:
    workflow = await engine.register("quick", [{"a": call("echo")}])
    late = engine.start_of(workflow, deadline_ms=int(time.time() * 1000) - 1000)

    await engine.publisher.publish([Outgoing(names.commands(0), encode(late))])
    await engine.nothing_left()

    assert await engine.row(late.execution_id) is None


async def test_a_start_that_comes_again_takes_no_message_of_its_execution_with_it(
    build_engine: Any, call: Call
) -> None:
    """A replica died between publishing and acknowledging: the start is read again, beside the result of its task."""
    engine = build_engine
    workflow = await engine.register_directly("one", [{"a": call("echo", n=1)}])
    async with engine.orchestrator():
        starts = [
            engine.start_of(workflow),
            engine.start_of(workflow, deadline_ms=int(time.time() * 1000) + 60_000),
        ]
        for start in starts:
            assert (await engine.ask_start(start)).status == 202
            await engine.waits_for(start.execution_id, "task")
    await engine.publisher.publish(
        [
            outgoing
            for start, deadline_ms in zip(starts, (1, None), strict=True)
            for outgoing in await both(
                engine, start.model_copy(update={"deadline_ms": deadline_ms})
            )
        ]
    )

    async with engine.orchestrator():
        for start in starts:
            assert await engine.outcome(start.execution_id) == {"done": 1}


async def both(engine: Any, start: Any) -> list[Outgoing]:
    (wait,) = await engine.waits(start.execution_id, "task")
    partition = partition_of(start.execution_id, 8)
    task = TaskRequested.model_validate_json(wait["body"])
    return [
        Outgoing(names.results(partition), encode(succeeded(task, {"done": 1}))),
        Outgoing(names.commands(partition), encode(start)),
    ]


def succeeded(task: TaskRequested, output: Any) -> TaskSucceeded:
    return TaskSucceeded(
        organization_id=task.organization_id,
        execution_id=task.execution_id,
        key=task.key,
        task_id=task.task_id,
        attempt=task.attempt,
        worker="a test",
        output=output,
    )


async def test_a_definition_that_cannot_be_read_any_more_takes_no_other_start_with_it(
    engine: Any, call: Call
) -> None:
    broken = await engine.register("broken", [{"a": call("echo")}])
    good = await engine.register("good", [{"a": call("echo")}])
    await engine.pool.execute(
        "UPDATE workflow.workflows SET config = '{\"do\": 7}' WHERE id = $1", broken
    )
    starts = [engine.start_of(workflow) for workflow in (good, broken, good)]

    await engine.publisher.publish([Outgoing(names.commands(0), encode(each)) for each in starts])

    ids: list[UUID] = [each.execution_id for each in starts]
    for id in (ids[0], ids[2]):

        async def accepted(id: UUID = id) -> Any:
            return await engine.row(id)

        await engine.until(accepted, "the others to be accepted")
        await engine.outcome(id)
    assert await engine.row(ids[1]) is None
    letters = await engine.pool.fetch("SELECT reason FROM workflow.dead_letters")
    assert [row["reason"] for row in letters] == ["poisoned"]
