"""The serving loop on a real server: results, duplicates, cancels, losses, draining."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from common.contracts.knowledge import Search
from common.contracts.replies import Reply
from common.contracts.tasks import (
    TaskClaim,
    TaskFailed,
    TaskRequested,
    TaskSucceeded,
    WorkerLost,
)
from common.contracts.wire import decode_reply
from common.errors import NotFound
from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.serving.ports import Answer
from common.serving.redis_bus import RedisBus
from common.serving.store import PayloadStore
from common.streams import names
from embedded import EmbeddedValkey

QUEUE = "work"
ORGANIZATION = UUID(int=7)


async def echo(input: Any, context: TaskContext) -> Any:
    del context
    return input


class Blocked:
    """A function that runs until the test lets it go."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.runs = 0

    async def __call__(self, input: Any, context: TaskContext) -> Any:
        self.runs += 1
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return input


async def test_a_result_goes_to_the_partition_and_the_entry_away(desk: Any) -> None:
    task: TaskRequested = desk.task()
    async with desk.serving({"echo:1.0.0": echo}, name="me"):
        await desk.send(task)
        done = await desk.result(TaskSucceeded)
        await desk.settled()
    assert (done.key, done.task_id, done.attempt, done.output) == (
        task.key,
        task.task_id,
        1,
        {"n": 1},
    )
    assert done.worker == "me"


async def test_what_was_queued_before_the_first_start_is_run(desk: Any) -> None:
    await desk.send(*[desk.task() for _ in range(200)])
    async with desk.serving({"echo:1.0.0": echo}):
        assert len(await desk.result(TaskSucceeded, count=200)) == 200
        await desk.settled()


async def test_no_more_tasks_run_than_there_are_slots(desk: Any) -> None:
    blocked = Blocked()
    await desk.send(*[desk.task("block:1.0.0") for _ in range(6)])
    async with desk.serving({"block:1.0.0": blocked}, slots=2) as server:
        await blocked.started.wait()
        await desk.link.call("BLPOP", "never", 0.3)
        assert (blocked.runs, server.busy) == (2, 2)
        blocked.release.set()
        await desk.result(TaskSucceeded, count=6)


async def test_a_second_entry_of_a_running_try_is_dropped(desk: Any) -> None:
    blocked, task = Blocked(), desk.task("block:1.0.0")
    async with desk.serving({"block:1.0.0": blocked}):
        await desk.send(task)
        await blocked.started.wait()
        await desk.send(task)

        async def one_left() -> bool:
            return bool(await desk.outstanding() == 1)

        await desk.until(one_left)
        blocked.release.set()
        await desk.settled()
    assert blocked.runs == 1
    assert len(await desk.results()) == 1


async def test_another_try_of_the_same_task_is_run(desk: Any) -> None:
    task = desk.task()
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(task, task.model_copy(update={"attempt": 2, "key": "0/2"}))
        assert {one.attempt for one in await desk.result(TaskSucceeded, count=2)} == {1, 2}


async def test_a_failure_is_a_result_with_the_languages_error(desk: Any) -> None:
    async def refuse(input: Any, context: TaskContext) -> Any:
        context.usage = {"inputTokens": 5}
        raise FunctionError("slow down", type="communication", status=429, retry_after=2.5)

    async with desk.serving({"refuse:1.0.0": refuse}):
        await desk.send(desk.task("refuse:1.0.0"))
        failed = await desk.result(TaskFailed)
    assert failed.error["status"] == 429
    assert failed.error["type"].endswith("/errors/communication")
    assert (failed.retryable, failed.retry_after_ms) == (True, 2500)
    assert failed.usage == {"inputTokens": 5}


async def test_an_unexpected_exception_is_a_retryable_runtime_error(desk: Any) -> None:
    async def broken(input: Any, context: TaskContext) -> Any:
        return input["absent"]

    async with desk.serving({"broken:1.0.0": broken}):
        await desk.send(desk.task("broken:1.0.0"))
        failed = await desk.result(TaskFailed)
    assert (failed.error["status"], failed.retryable) == (500, True)
    assert "KeyError" in failed.error["detail"]


async def test_a_function_nobody_serves_is_a_configuration_error_with_advice(desk: Any) -> None:
    async with desk.serving({}):
        await desk.send(desk.task("absent:1.0.0"))
        failed = await desk.result(TaskFailed)
    assert failed.error["type"].endswith("/configuration")
    assert "absent:1.0.0" in failed.error["detail"]


async def test_a_try_that_takes_too_long_ends_as_a_timeout(desk: Any) -> None:
    blocked = Blocked()
    async with desk.serving({"block:1.0.0": blocked}):
        await desk.send(desk.task("block:1.0.0", timeout_ms=100))
        failed = await desk.result(TaskFailed)
        await asyncio.wait_for(blocked.cancelled.wait(), 5)
    assert failed.error["status"] == 408


async def test_a_cancelled_try_stops_at_once_and_reports_nothing(desk: Any) -> None:
    blocked, task = Blocked(), desk.task("block:1.0.0")
    async with desk.serving({"block:1.0.0": blocked}):
        await desk.send(task)
        await blocked.started.wait()
        await desk.cancel(task)
        await asyncio.wait_for(blocked.cancelled.wait(), 5)
        await desk.settled()
    assert await desk.results() == []


async def test_a_try_that_was_cancelled_in_the_queue_never_runs(desk: Any) -> None:
    blocked, task = Blocked(), desk.task("block:1.0.0")
    await desk.cancel(task)
    await desk.send(task)
    async with desk.serving({"block:1.0.0": blocked}):
        await desk.settled()
    assert blocked.runs == 0


async def test_a_flush_of_redis_in_mid_task_loses_nothing(desk: Any) -> None:
    blocked, task = Blocked(), desk.task("block:1.0.0")
    async with desk.serving({"block:1.0.0": blocked, "echo:1.0.0": echo}):
        await desk.send(task)
        await blocked.started.wait()
        await desk.link.call("FLUSHALL")
        claim = names.claim(QUEUE, task.task_id, 1)

        async def claimed_again() -> bool:
            found: bytes | None = await desk.link.call("GET", claim)
            return found is not None

        await desk.until(claimed_again)
        await desk.send(task)  # the orchestrator publishes it again
        blocked.release.set()
        done = await desk.result(TaskSucceeded)
        await desk.settled()
        # New work goes on too.
        other = desk.task(partition=5)
        await desk.send(other)
        await desk.settled()
    assert (done.task_id, blocked.runs) == (task.task_id, 1)


async def test_what_survived_from_an_earlier_generation_is_dropped(desk: Any) -> None:
    await desk.link.call("SET", names.GENERATION_KEY, "two")
    await desk.send(desk.task(generation="one"), desk.task(generation="two"))
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.settled()
    assert len(await desk.results()) == 1


async def test_a_large_output_is_stored_and_referenced(desk: Any) -> None:
    task = desk.task(input={"text": "x" * 10_000})
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(task)
        done = await desk.result(TaskSucceeded)
    assert done.output is None
    assert done.output_ref.owner_id == task.execution_id
    stored = await PayloadStore(desk.pool).load(task.organization_id, done.output_ref)
    assert orjson.loads(stored) == task.input


async def test_a_large_input_is_loaded(desk: Any) -> None:
    task = desk.task()
    store = PayloadStore(desk.pool)
    reference = await store.save(task.organization_id, task.execution_id, b'{"big": true}')
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(task.model_copy(update={"input": None, "input_ref": reference}))
        done = await desk.result(TaskSucceeded)
    assert done.output == {"big": True}


async def test_an_input_of_another_organisation_is_not_found(desk: Any) -> None:
    task = desk.task()
    reference = await PayloadStore(desk.pool).save(task.execution_id, task.execution_id, b"1")
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(task.model_copy(update={"input": None, "input_ref": reference}))
        failed = await desk.result(TaskFailed)
    assert "not stored" in failed.error["detail"]


async def test_a_result_over_the_limit_fails_at_once_and_names_the_task(desk: Any) -> None:
    async def huge(input: Any, context: TaskContext) -> Any:
        return "x" * (1024 * 1024 + 1)

    async with desk.serving({"huge:1.0.0": huge}):
        await desk.send(desk.task("huge:1.0.0", name="summarise"))
        failed = await desk.result(TaskFailed)
    assert not failed.retryable
    assert "'summarise'" in failed.error["detail"]


@pytest.mark.parametrize("value", ["\x00", {1, object()}, float("nan"), 2**70, "\ud800"])
async def test_a_result_that_cannot_be_stored_never_breaks_the_loop(
    desk: Any, value: object
) -> None:
    async def odd(input: Any, context: TaskContext) -> Any:
        return [value]

    async with desk.serving({"odd:1.0.0": odd, "echo:1.0.0": echo}):
        await desk.send(desk.task("odd:1.0.0"), desk.task())
        await desk.settled()
    assert len(await desk.results()) == 2


async def test_an_at_most_once_task_runs_when_it_is_granted(desk: Any) -> None:
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(desk.task(at_most_once=True))
        claim = await desk.grant(200)
        done = await desk.result(TaskSucceeded)
    assert claim.nonce
    assert done.output == {"n": 1}


async def test_an_at_most_once_task_that_is_not_granted_never_runs(desk: Any) -> None:
    blocked = Blocked()
    async with desk.serving({"block:1.0.0": blocked}):
        await desk.send(desk.task("block:1.0.0", at_most_once=True))
        await desk.grant(409)
        await desk.settled()
    assert blocked.runs == 0
    assert [type(one) for one in await desk.results()] == [TaskClaim]


async def test_leaving_finishes_what_runs(desk: Any) -> None:
    blocked = Blocked()
    async with desk.serving({"block:1.0.0": blocked}):
        await desk.send(desk.task("block:1.0.0"))
        await blocked.started.wait()
        asyncio.get_running_loop().call_later(0.2, blocked.release.set)
    assert len(await desk.results()) == 1
    assert await desk.outstanding() == 0


async def test_leaving_hands_back_what_does_not_finish_in_time(desk: Any) -> None:
    blocked = Blocked()
    async with desk.serving({"block:1.0.0": blocked}, drain_s=0.1):
        await desk.send(desk.task("block:1.0.0"))
        await blocked.started.wait()
    assert blocked.cancelled.is_set()
    assert await desk.outstanding() == 1
    async with desk.serving({"block:1.0.0": echo}):
        await desk.result(TaskSucceeded)
        await desk.settled()
    assert not [one for one in await desk.results() if isinstance(one, WorkerLost)]


async def test_what_is_being_claimed_while_leaving_is_finished_or_handed_back(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, answer = asyncio.Event(), asyncio.Event()

    class SlowToHear(RedisBus):
        async def claim(self, wanted: Any) -> Any:
            verdicts = await super().claim(wanted)
            claimed.set()
            await answer.wait()
            return verdicts

    serving = desk.serving({"echo:1.0.0": echo})
    with monkeypatch.context() as patched:
        patched.setattr("common.serving.server.RedisBus", SlowToHear)
        await serving.__aenter__()
    await desk.send(desk.task())
    await claimed.wait()
    leaving = asyncio.create_task(serving.__aexit__(None, None, None))
    await asyncio.wait({leaving}, timeout=0.1)  # It is on its way out, and has not heard yet.
    answer.set()
    await leaving

    async with desk.serving({"echo:1.0.0": echo}):
        await desk.result(TaskSucceeded)
        await desk.settled()


async def test_who_left_is_no_consumer_any_more(desk: Any) -> None:
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(desk.task())
        await desk.settled()
    consumers = await desk.link.call("XINFO", "CONSUMERS", names.tasks(QUEUE), names.EXECUTOR_GROUP)
    assert consumers == []


async def test_an_unreadable_entry_is_kept_and_the_rest_goes_on(desk: Any) -> None:
    await desk.link.call("XADD", names.tasks(QUEUE), "*", "m", b'{"type": "task.requested.v9"}')
    async with desk.serving({"echo:1.0.0": echo}):
        await desk.send(desk.task())
        await desk.result(TaskSucceeded)
    assert await desk.outstanding() == 1


async def answer_of(desk: Any, stream: str) -> Reply:
    async def some() -> Any:
        return await desk.link.call("XRANGE", stream, "-", "+")

    ((_, fields), *_) = await desk.until(some)
    return decode_reply(fields[1])


async def test_a_request_is_answered_on_the_callers_stream(desk: Any) -> None:
    async def search(message: Search) -> Answer:
        return Answer(200, {"asked": message.query})

    request = Search(
        organization_id=ORGANIZATION, collection="c", query="q", reply_to=names.replies("caller")
    )
    async with desk.serving({}, requests={Search: search}):
        await desk.send(request)
        reply = await answer_of(desk, request.reply_to)
        await desk.settled()
    assert (reply.status, reply.body, reply.request_id) == (200, {"asked": "q"}, request.message_id)


async def test_a_refused_request_says_why(desk: Any) -> None:
    async def search(message: Search) -> Answer:
        raise NotFound(f"There is no collection {message.collection!r}.")

    request = Search(
        organization_id=ORGANIZATION, collection="c", query="q", reply_to=names.replies("caller")
    )
    async with desk.serving({}, requests={Search: search}):
        await desk.send(request)
        reply = await answer_of(desk, request.reply_to)
    assert (reply.status, reply.code) == (404, "not_found")


async def test_a_request_past_its_deadline_is_refused_unrun(desk: Any) -> None:
    async def search(message: Search) -> Answer:
        raise AssertionError("nobody waits for this")

    request = Search(
        organization_id=ORGANIZATION,
        collection="c",
        query="q",
        reply_to=names.replies("caller"),
        deadline_ms=1,
    )
    async with desk.serving({}, requests={Search: search}):
        await desk.send(request)
        reply = await answer_of(desk, request.reply_to)
    assert reply.status == 503


async def test_deltas_reach_who_listens_and_nobody_else_is_disturbed(desk: Any) -> None:
    async def talk(input: Any, context: TaskContext) -> Any:
        for word in ("one ", "two ", "three"):
            context.emit_delta(word)
        await asyncio.sleep(0)
        return "said"

    from redis.asyncio import Redis

    task = desk.task("talk:1.0.0")
    redis = Redis.from_url(desk.url)
    async with redis, redis.pubsub() as pubsub:
        await pubsub.subscribe(names.deltas(task.execution_id))
        assert await pubsub.get_message(timeout=5)
        async with desk.serving({"talk:1.0.0": talk}):
            await desk.send(task)
            await desk.result(TaskSucceeded)
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    delta = orjson.loads(message["data"])
    assert (delta["type"], delta["task"], delta["text"]) == ("task.delta", "step", "one two three")


async def test_a_restart_of_redis_is_survived_and_the_result_kept(
    desk: Any, tmp_path: Path, ports: Any
) -> None:
    blocked = Blocked()
    server = EmbeddedValkey(ports.keep_for(tmp_path / "valkey"))
    await server.start()
    desk = type(desk)(server.url, desk.pool)
    try:
        async with desk.serving({"block:1.0.0": blocked, "echo:1.0.0": echo}, drain_s=1):
            await desk.send(desk.task("block:1.0.0"))
            await blocked.started.wait()
            await server.stop()
            blocked.release.set()  # its result has nowhere to go
            await server.start()
            done = await desk.result(TaskSucceeded)
            await desk.send(desk.task())
            assert len(await desk.result(TaskSucceeded, count=2)) == 2
    finally:
        await desk.close()
        await server.stop()
    assert done.output == {"n": 1}
