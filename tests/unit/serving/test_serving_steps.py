"""The steps of serving, driven one by one over the bus in memory, as the simulation drives them."""

from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.contracts.base import PayloadReference, encode
from common.contracts.tasks import (
    TaskClaim,
    TaskFailed,
    TaskHeartbeat,
    TaskRequested,
    TaskSucceeded,
    WorkerLost,
)
from common.contracts.wire import decode_for_orchestrator
from common.serving.claims import Claim, Verdict, done, held, judge, may_go_on
from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.serving.memory_bus import MemoryBus, MemoryQueue
from common.serving.steps import HEARTBEAT_MS, Job, Serving, accept, deliver, perform, refresh
from common.streams import names


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


class NoStore:
    async def load(self, organization_id: UUID, reference: PayloadReference) -> bytes:
        raise LookupError

    async def save(self, organization_id: UUID, owner_id: UUID, raw: bytes) -> PayloadReference:
        raise AssertionError("nothing here is large")


class Grants:
    def __init__(self, granted: bool) -> None:
        self.granted = granted
        self.asked: list[TaskClaim] = []

    async def ask(self, claim: TaskClaim, partition: int) -> bool:
        self.asked.append(claim)
        return self.granted


class Crash(BaseException):
    """The process ends here."""


class Executor:
    """One consumer, stepped by hand."""

    def __init__(self, queue: MemoryQueue, clock: Clock, name: str, granted: bool = True) -> None:
        self.runs = 0
        self.grants = Grants(granted)
        self.crash_at = ""
        self.running: dict[str, Job] = {}
        self.bus = MemoryBus(queue, name)
        self.serving = Serving(
            queue="work",
            consumer=name,
            bus=self.bus,
            store=NoStore(),
            grants=self.grants,
            functions={"echo:1.0.0": self._echo},
            requests={},
            clock_ms=clock,
            at=self._at,
        )

    async def _echo(self, input: Any, context: TaskContext) -> Any:
        self.runs += 1
        return input

    def _at(self, name: str) -> None:
        if name == self.crash_at:
            raise Crash

    async def take(self) -> list[Job]:
        jobs = await accept(self.serving, await self.bus.read(10), self.running)
        self.running.update({job.claim.key: job for job in jobs})
        return jobs

    async def run(self) -> None:
        """Everything that is there, from reading to settling."""
        finished = [await perform(self.serving, job) for job in await self.take()]
        if finished:
            await deliver(self.serving, finished)
        for one in finished:
            del self.running[one.claim.key]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> MemoryQueue:
    return MemoryQueue(clock)


def task(**changes: Any) -> TaskRequested:
    fields: dict[str, Any] = {
        "organization_id": uuid4(),
        "execution_id": uuid4(),
        "key": "0/1",
        "task_id": uuid4(),
        "attempt": 1,
        "function": "echo:1.0.0",
        "workflow_id": "tests/steps",
        "name": "step",
        "reference": "/do/0/step",
        "partition": 0,
        "input": 1,
    }
    return TaskRequested(**(fields | changes))


def published(queue: MemoryQueue) -> list[Any]:
    return [decode_for_orchestrator(raw) for raw in queue.published.get(names.results(0), [])]


async def test_a_task_runs_once_and_leaves_nothing_behind(queue: MemoryQueue, clock: Clock) -> None:
    executor = Executor(queue, clock, "a")
    queue.add(encode(task()))
    await executor.run()
    await executor.run()
    assert [type(one) for one in published(queue)] == [TaskSucceeded]
    assert not queue.entries


@pytest.mark.parametrize("place", ["after-claim", "before-result-publish", "after-result-publish"])
async def test_a_crash_at_any_step_leaves_the_entry_for_the_next(
    queue: MemoryQueue, clock: Clock, place: str
) -> None:
    dying, next_one = Executor(queue, clock, "dying"), Executor(queue, clock, "next")
    queue.add(encode(task()))
    dying.crash_at = place
    with pytest.raises(Crash):
        await dying.run()
    await next_one.run()
    assert next_one.runs == 0, "the lease is not over"
    clock.now_ms += queue.lease_ms
    await next_one.run()
    reports = [type(one) for one in published(queue)]
    assert reports[-2:] == [WorkerLost, TaskSucceeded]
    assert not queue.entries


async def test_a_paused_owner_that_wakes_stops_and_leaves_the_entry_to_its_successor(
    queue: MemoryQueue, clock: Clock
) -> None:
    paused, successor = Executor(queue, clock, "paused"), Executor(queue, clock, "successor")
    queue.add(encode(task()))
    (job,) = await paused.take()
    clock.now_ms += queue.lease_ms
    assert len(await successor.take()) == 1
    assert await refresh(paused.serving, paused.running.values()) == [job]
    assert len(queue.entries) == 1


async def test_a_zombies_result_ends_the_second_run_early(queue: MemoryQueue, clock: Clock) -> None:
    zombie, successor = Executor(queue, clock, "zombie"), Executor(queue, clock, "successor")
    queue.add(encode(task()))
    (job,) = await zombie.take()
    clock.now_ms += queue.lease_ms
    await successor.take()
    await deliver(zombie.serving, [await perform(zombie.serving, job)])
    stopped = await refresh(successor.serving, successor.running.values())
    assert len(stopped) == 1
    assert not queue.entries


async def test_a_task_published_again_after_a_wipe_does_not_run_beside_itself(
    queue: MemoryQueue, clock: Clock
) -> None:
    owner, other = Executor(queue, clock, "owner"), Executor(queue, clock, "other")
    raw = encode(task())
    queue.add(raw)
    await owner.take()
    queue.wipe()
    assert await refresh(owner.serving, owner.running.values()) == []
    queue.add(raw)
    assert await other.take() == []
    queue.add(raw)
    assert await owner.take() == [], "even its own process knows that it runs"


async def test_long_tasks_are_heard_of(queue: MemoryQueue, clock: Clock) -> None:
    executor = Executor(queue, clock, "a")
    queue.add(encode(task()))
    (job,) = await executor.take()
    await perform(executor.serving, job)
    for _ in range(3):
        clock.now_ms += HEARTBEAT_MS // 2
        await refresh(executor.serving, [job])
    assert [type(one) for one in published(queue)] == [TaskHeartbeat]


async def test_permission_is_asked_with_another_nonce_by_every_run(
    queue: MemoryQueue, clock: Clock
) -> None:
    dying, next_one = Executor(queue, clock, "dying"), Executor(queue, clock, "next", granted=False)
    queue.add(encode(task(at_most_once=True)))
    dying.crash_at = "before-result-publish"
    with pytest.raises(Crash):
        await dying.run()
    clock.now_ms += queue.lease_ms
    await next_one.run()
    assert (dying.runs, next_one.runs) == (1, 0)
    assert dying.grants.asked[0].nonce != next_one.grants.asked[0].nonce
    assert not queue.entries
    assert [type(one) for one in published(queue)] == [WorkerLost]


async def test_entries_of_an_earlier_generation_are_dropped_unrun(
    queue: MemoryQueue, clock: Clock
) -> None:
    executor = Executor(queue, clock, "a")
    queue.generation = "new"
    queue.add(encode(task(generation="old")))
    queue.add(encode(task(generation="new")))
    queue.add(encode(task()))
    await executor.run()
    assert executor.runs == 2


async def test_an_unreadable_entry_stays(queue: MemoryQueue, clock: Clock) -> None:
    executor = Executor(queue, clock, "a")
    queue.add(b"{}")
    await executor.run()
    assert len(queue.entries) == 1


async def test_a_missing_input_fails_the_try_not_the_process(
    queue: MemoryQueue, clock: Clock
) -> None:
    executor = Executor(queue, clock, "a")
    reference = PayloadReference(owner_id=uuid4(), id=uuid4(), size=1)
    queue.add(encode(task(input_ref=reference)))
    await executor.run()
    (failed,) = published(queue)
    assert isinstance(failed, TaskFailed)


def test_a_verdict_for_every_value_of_a_claim() -> None:
    wanted = Claim("5-0", "k", "g")
    assert judge(None, wanted, "me") is Verdict.FRESH
    assert judge(held("5-0", "me"), wanted, "me") is Verdict.OURS
    assert judge(held("5-0", "other"), wanted, "me") is Verdict.TAKEN_OVER
    assert judge(held("4-0", "me"), wanted, "me") is Verdict.DUPLICATE
    assert judge(done("g"), wanted, "me") is Verdict.DUPLICATE
    assert judge(done("before"), wanted, "me") is Verdict.FRESH
    assert judge("cancelled", wanted, "me") is Verdict.CANCELLED
    assert may_go_on(None, wanted, "me")
    assert not may_go_on(done("g"), wanted, "me")
    assert not may_go_on("cancelled", wanted, "me")


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def serve_with(executor: Executor, function: Any) -> None:
    executor.serving = replace(executor.serving, functions={"echo:1.0.0": function})


@pytest.mark.parametrize("output", [nested(129), nested(250), {"x": "a\x00b"}, {"\x00": 1}])
async def test_a_result_that_nobody_could_read_or_store_fails_the_try_once(
    queue: MemoryQueue, clock: Clock, output: Any
) -> None:
    async def function(input: Any, context: TaskContext) -> Any:
        return output

    executor = Executor(queue, clock, "a")
    serve_with(executor, function)
    queue.add(encode(task()))
    await executor.run()
    (report,) = published(queue)
    assert isinstance(report, TaskFailed)
    assert not report.retryable
    assert not queue.entries


async def test_brackets_in_texts_are_no_nesting(queue: MemoryQueue, clock: Clock) -> None:
    executor = Executor(queue, clock, "a")
    queue.add(encode(task(input={"x": '["' * 300, "y": nested(100)})))
    await executor.run()
    assert [type(one) for one in published(queue)] == [TaskSucceeded]


@pytest.mark.parametrize("usage", [object(), nested(250), {"model": "\x00"}, "x" * 10_000])
async def test_usage_that_cannot_be_told_never_keeps_a_result_back(
    queue: MemoryQueue, clock: Clock, usage: Any
) -> None:
    async def function(input: Any, context: TaskContext) -> Any:
        context.usage = usage
        return 1

    executor = Executor(queue, clock, "a")
    serve_with(executor, function)
    queue.add(encode(task()))
    await executor.run()
    (report,) = published(queue)
    assert (report.output, report.usage) == (1, None)


async def test_an_error_of_any_text_is_told(queue: MemoryQueue, clock: Clock) -> None:
    async def function(input: Any, context: TaskContext) -> Any:
        raise FunctionError("a\x00\ud800b", type="https://a.test/\x00\ud800", title="\x00\ud800")

    executor = Executor(queue, clock, "a")
    serve_with(executor, function)
    queue.add(encode(task()))
    await executor.run()
    (report,) = published(queue)
    assert "\x00" not in "".join(str(value) for value in report.error.values())
