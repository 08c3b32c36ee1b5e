"""What executions carry: large values by reference, expressions of unbounded cost, and what PostgreSQL refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from common.contracts.base import encode
from common.contracts.tasks import TaskRequested, TaskSucceeded
from common.ids import uuid7
from common.streams import names
from common.streams.publisher import Outgoing

Call = Callable[..., dict[str, Any]]


async def test_large_values_travel_by_reference_and_come_out_whole(engine: Any, call: Call) -> None:
    do = [{"a": call("echo")}, {"b": call("echo")}, {"c": {"set": "${ . }"}}]
    workflow = await engine.register("large", do)
    execution_id = uuid7()
    given = {"data": {"text": "ü" * 100_000, "n": 1}}
    reference = await engine.store_input(execution_id, orjson.dumps(given))

    id = await engine.start(workflow, None, execution_id=execution_id, input_ref=reference)

    # `data` is the function's argument: each echo unwraps and wraps it again.
    assert (await engine.outcome(id))["data"] is not None
    row = await engine.row(id)
    assert orjson.loads(row["input_payload"]) == given
    largest = await engine.pool.fetchval("SELECT max(length(events)) FROM workflow.history")
    assert largest < 10_000
    await engine.nothing_left()


async def test_an_expression_without_bound_leaves_the_others_alone(engine: Any, call: Call) -> None:
    runaway = await engine.register("runaway", [{"a": {"set": {"n": "${ def f: f; f }"}}}])
    slow = await engine.register(
        "slow", [{"a": {"set": {"n": "${ reduce range(20000) as $i (0; . + $i) }"}}}]
    )
    quick = await engine.register("quick", [{"a": call("echo", n=1)}])
    stuck, slowly = await engine.start_nowait(runaway), await engine.start_nowait(slow)

    others = [await engine.start(quick) for _ in range(5)]
    for id in others:
        assert await engine.outcome(id) == {"n": 1}
    assert await engine.row(stuck) is None

    assert await engine.outcome_of_new(slowly) == {"n": 199990000}
    error = await engine.outcome_of_new(stuck, status="faulted")
    assert error["type"].endswith("/expression")
    await engine.nothing_left()


async def test_an_output_that_postgresql_refuses_faults_its_execution_and_no_other(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    async with engine.orchestrator():
        workflow = await engine.register("one", [{"a": call("echo", n=1)}])
        ids = [await engine.start(workflow) for _ in range(10)]
        tasks = [
            TaskRequested.model_validate_json((await engine.waits_for(id, "task"))[0]["body"])
            for id in ids
        ]
        results = [
            TaskSucceeded(
                organization_id=task.organization_id,
                execution_id=task.execution_id,
                key=task.key,
                task_id=task.task_id,
                attempt=task.attempt,
                output={"text": "a\x00b" if number == 4 else "ab"},
            )
            for number, task in enumerate(tasks)
        ]
        # All in one stream, so that they make up one batch.
        await engine.publisher.publish(
            [Outgoing(names.results(0), encode(result)) for result in results]
        )

        for number, id in enumerate(ids):
            if number != 4:
                assert await engine.outcome(id) == {"text": "ab"}
        error = await engine.outcome(ids[4], status="faulted")
        assert error["title"] == "The engine could not advance this execution"
        assert (await engine.history(ids[4]))[-1]["type"] == "workflow.faulted"
        letter = await engine.pool.fetchrow("SELECT * FROM workflow.dead_letters")
        assert (letter["execution_id"], letter["reason"]) == (ids[4], "poisoned")

        async def told() -> bool:
            last = len(await engine.history(ids[4]))
            return f"{ids[4]}/{last}" in await engine.feed()

        await engine.until(told, "the fault in the public feed")


async def test_a_start_that_cannot_be_stored_is_refused_and_its_neighbours_are_not(
    engine: Any, call: Call
) -> None:
    workflow = await engine.register("quick", [{"a": call("echo", n=1)}])
    bad = engine.start_of(workflow, labels={"of": "a\x00b"})
    refused, *accepted = await asyncio.gather(
        *[engine.ask_start(each) for each in (bad, *[engine.start_of(workflow) for _ in range(5)])]
    )

    assert (refused.status, refused.code) == (422, "cannot_be_stored")
    assert [reply.status for reply in accepted] == [202] * 5
    assert await engine.pool.fetchval("SELECT count(*) FROM workflow.workflow_executions") == 5
    assert await engine.pool.fetchval("SELECT reason FROM workflow.dead_letters") == "poisoned"


async def test_many_turns_in_one_execution_are_bounded_and_go_on(engine: Any, call: Call) -> None:
    do = [{"each": {"for": {"in": "${ .items }"}, "do": [{"n": {"set": {"n": "${ $item }"}}}]}}]
    workflow = await engine.register("loop", do)

    id = await engine.start(workflow, {"items": list(range(1500))})

    assert await engine.outcome(id) == {"n": 1499}
    turns = await engine.pool.fetchval(
        "SELECT count(*) FROM workflow.history WHERE execution_id = $1", id
    )
    assert turns > 1
    assert len({event["at"] for event in await engine.history(id)}) >= 1
    await asyncio.wait_for(engine.nothing_left(), 20)


async def test_an_execution_whose_stored_value_is_gone_faults_instead_of_going_on_without_it(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    do = [
        {"a": call("wait", gate="gone")},
        {"b": {"set": {"text": "${ $workflow.input.text }"}}},
    ]
    async with engine.executor():
        async with engine.orchestrator():
            workflow = await engine.register("gone", do)
            id = uuid7()
            given = orjson.dumps({"text": "x" * 10_000})
            reference = await engine.store_input(id, given)
            await engine.start(workflow, None, execution_id=id, input_ref=reference)
            await engine.waits_for(id, "task")
        await engine.pool.execute("DELETE FROM workflow.payloads WHERE owner_id = $1", id)
        async with engine.orchestrator():
            engine.functions.gate("gone").set()
            error = await engine.outcome(id, status="faulted")
    assert error["type"].endswith("/runtime")
