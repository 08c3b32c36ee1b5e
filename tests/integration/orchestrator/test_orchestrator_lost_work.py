"""Executors that die with a task, as the orchestrator sees it: counted, given up, never run twice where once was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from common.contracts.base import encode
from common.contracts.tasks import TaskClaim, TaskRequested, TaskSucceeded, WorkerLost
from common.ids import partition_of
from common.serving.claims import held
from common.streams import names
from common.streams.publisher import Outgoing

Call = Callable[..., dict[str, Any]]
STREAM = names.tasks("work")


async def held_task(engine: Any, function: str, call: Call) -> tuple[UUID, TaskRequested]:
    """An execution whose only task is in its stream, with no executor to run it."""
    id = await engine.start(await engine.register("one", [{"a": call(function, gate="never")}]))
    (wait,) = await engine.waits_for(id, "task")
    return id, TaskRequested.model_validate_json(wait["body"])


async def tell(engine: Any, kind: Any, task: TaskRequested, **more: Any) -> None:
    report = kind(
        organization_id=task.organization_id,
        execution_id=task.execution_id,
        key=task.key,
        task_id=task.task_id,
        attempt=task.attempt,
        **more,
    )
    await engine.publisher.publish([Outgoing(names.results(task.partition), encode(report))])


async def take_and_die(engine: Any, task: TaskRequested) -> None:
    """Take the entry as an executor does that dies right away."""
    await engine.link.call(b"XGROUP", b"CREATE", STREAM, names.EXECUTOR_GROUP, b"0", b"MKSTREAM")
    read = await engine.link.call(
        b"XREADGROUP", b"GROUP", names.EXECUTOR_GROUP, b"ghost", b"STREAMS", STREAM, b">"
    )
    ((entry_id, _),) = read[0][1]
    key = names.claim("work", task.task_id, task.attempt)
    await engine.link.call(b"SET", key, held(entry_id.decode(), "ghost"), b"PX", 60_000)


async def ask(engine: Any, task: TaskRequested, nonce: str) -> int:
    claim = TaskClaim(
        organization_id=task.organization_id,
        execution_id=task.execution_id,
        key=task.key,
        nonce=nonce,
    )
    reply = await engine.ask(claim, names.results(partition_of(task.execution_id, 8)))
    return int(reply.status)


async def test_at_most_once_is_granted_to_one_nonce_for_ever(build_engine: Any, call: Call) -> None:
    engine = build_engine
    async with engine.orchestrator():
        _, task = await held_task(engine, "once", call)

        assert task.at_most_once
        assert [await ask(engine, task, nonce) for nonce in "aba"] == [200, 409, 200]
        # Publishing again, after a loss of Redis too, leaves out what was granted.
        assert (await engine.waits(task.execution_id))[0]["started_by"] == "a"


async def test_an_at_most_once_task_whose_executor_died_has_an_unknown_outcome(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    async with engine.orchestrator():
        id, task = await held_task(engine, "once", call)
        await take_and_die(engine, task)
        assert await ask(engine, task, "of the dead") == 200

        async with engine.executor():
            error = await engine.outcome(id, status="faulted")

        assert error["title"] == "Unknown outcome"
        assert not engine.functions.runs
        await engine.nothing_left()


async def test_a_task_whose_executor_died_runs_on_another(build_engine: Any, call: Call) -> None:
    engine = build_engine
    engine.functions.gate("never").set()
    async with engine.orchestrator():
        id, task = await held_task(engine, "wait", call)
        await take_and_die(engine, task)

        async with engine.executor():
            assert await engine.outcome(id) == {"gate": "never"}

        assert engine.functions.runs == {str(task.task_id): 1}
        await engine.nothing_left()


async def test_a_task_that_ends_three_executors_faults(build_engine: Any, call: Call) -> None:
    engine = build_engine
    async with engine.orchestrator():
        id, task = await held_task(engine, "wait", call)
        for worker in ("first", "second", "third"):
            assert await engine.status(id) == "running"
            await tell(engine, WorkerLost, task, worker=worker)

        error = await engine.outcome(id, status="faulted")

        assert error["title"] == "The task ended its executor"
        assert "3 executors" in error["detail"]


async def test_the_first_result_of_a_try_counts_and_any_other_is_ignored(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    async with engine.orchestrator():
        two = [{"a": call("wait", gate="never")}, {"b": call("wait", gate="never")}]
        id = await engine.start(await engine.register("two", two))
        (wait,) = await engine.waits_for(id, "task")
        first = TaskRequested.model_validate_json(wait["body"])
        for n in (1, 2, 3):
            await tell(engine, TaskSucceeded, first, output={"n": n})

        async def second() -> Any:
            return [each for each in await engine.waits(id, "task") if each["key"] != wait["key"]]

        (wait,) = await engine.until(second, "the second task")
        await tell(
            engine, TaskSucceeded, TaskRequested.model_validate_json(wait["body"]), output={"m": 1}
        )
        await tell(engine, TaskSucceeded, first, output={"n": 4})

        assert await engine.outcome(id) == {"m": 1}
        outputs = [e["output"] for e in await engine.history(id) if e["type"] == "task.completed"]
        assert outputs == [{"n": 1}, {"m": 1}]


async def test_a_running_task_is_not_given_up_because_all_orchestrators_were_away(
    build_engine: Any, call: Call
) -> None:
    engine = build_engine
    async with engine.executor():
        async with engine.orchestrator():
            id, task = await held_task(engine, "once", call)

            async def granted() -> bool:
                return (await engine.waits(id))[0]["started_by"] is not None

            await engine.until(granted, "the task to be begun")
        await engine.pool.execute(
            "UPDATE workflow.waits SET expected_by = now() - interval '1 minute'"
        )
        async with engine.orchestrator():
            # Meanwhile all periodic work has begun.
            quick = await engine.register("quick", [{"a": call("echo", n=1)}])
            assert [await engine.outcome(await engine.start(quick)) for _ in range(3)]
            engine.functions.gate("never").set()
            assert await engine.outcome(id) == {"gate": "never"}

    assert engine.functions.runs[str(task.task_id)] == 1
