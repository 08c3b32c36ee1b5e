"""Real executor processes: what a user's functions see, and what survives a crash of one."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from common.contracts.administration import RegisterFunctions
from common.contracts.base import encode
from common.contracts.replies import Reply
from common.contracts.tasks import TaskFailed, TaskRequested, TaskSucceeded, WorkerLost
from common.contracts.wire import decode_for_orchestrator
from common.ids import uuid7
from common.streams import names
from common.streams.connection import Link
from common.streams.publisher import Outgoing, Publisher

FUNCTIONS = Path(__file__).with_name("shop_functions.py")
PATIENCE_S = 30
QUEUE = "shop"


class Shop:
    """The orchestrator's side of the queue `shop`, and the executors that serve it."""

    def __init__(self, redis_url: str, database: str) -> None:
        self.link = Link(redis_url)
        self._publishing = Link(redis_url)
        self.publisher = Publisher(self._publishing)
        self._environment = {
            **os.environ,
            "APP_ENV": "test",
            "REDIS_URL": redis_url,
            "EFFECTS_URL": redis_url,
            "DATABASE_URL": database,
            "EXECUTOR_QUEUES": QUEUE,
            "EXECUTOR_MODULES": str(FUNCTIONS),
            "EXECUTOR_SLOTS": "4",
            "METRICS_PORT": "0",
            "TASK_LEASE": "1.5s",
            "REFRESH_INTERVAL": "300ms",
            "SHUTDOWN_GRACE": "6s",
        }

    @asynccontextmanager
    async def executor(self, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "executor",
            env=self._environment | environment,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def close(self) -> None:
        await self.link.close()
        await self._publishing.close()

    async def until(self, condition: Callable[[], Awaitable[Any]], *, what: str) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                if value := await condition():
                    return value
                await asyncio.sleep(0.03)
        raise AssertionError(f"waited in vain for {what}")

    async def send(self, function: str, input: Any, **more: Any) -> TaskRequested:
        task = TaskRequested(
            organization_id=UUID(int=5),
            execution_id=uuid7(),
            key="0/1",
            task_id=uuid4(),
            attempt=1,
            function=f"{function}:1.0.0",
            workflow_id="tests/shop",
            name=function,
            reference=f"/do/0/{function}",
            partition=1,
            input=input,
            **more,
        )
        await self.publish(task)
        return task

    async def publish(self, task: TaskRequested) -> None:
        await self.publisher.publish([Outgoing(names.tasks(QUEUE), encode(task))])

    async def results(self, task: TaskRequested) -> list[Any]:
        raw = await self.link.call("XRANGE", names.results(1), "-", "+")
        found = [decode_for_orchestrator(fields[1]) for _, fields in raw]
        return [one for one in found if one.task_id == task.task_id]

    async def result(self, task: TaskRequested) -> Any:
        async def ended() -> Any:
            found = await self.results(task)
            return [one for one in found if isinstance(one, TaskSucceeded | TaskFailed)]

        return (await self.until(ended, what="a result"))[0]

    async def effects(self) -> list[str]:
        return [one.decode() for one in await self.link.call("LRANGE", "effects", 0, -1)]

    async def effect_of(self, task: TaskRequested) -> None:
        async def seen() -> bool:
            return str(task.task_id) in await self.effects()

        await self.until(seen, what="the effect")

    async def emptied(self) -> None:
        async def empty() -> bool:
            return not await self.link.call("XLEN", names.tasks(QUEUE))

        await self.until(empty, what="an empty queue")


@pytest.fixture
async def shop(redis_url: str, database: str) -> AsyncIterator[Shop]:
    built = Shop(redis_url, database)
    yield built
    await built.close()


async def test_own_functions_get_typed_input_and_give_typed_output(shop: Shop) -> None:
    async with shop.executor():
        task = await shop.send("book", {"number": 7, "note": "x"})
        done = await shop.result(task)
        wrong = await shop.result(await shop.send("book", {"number": "seven"}))
        refused = await shop.result(await shop.send("refuse", {"reason": "not today"}))
        unfit = await shop.result(await shop.send("refuse", {}))
        in_thread = await shop.result(await shop.send("thread", {"a": 1}))
    assert done.output == {"number": 7, "key": str(task.task_id)}
    assert (wrong.error["status"], wrong.retryable) == (400, False)
    assert "number" in wrong.error["detail"]
    assert (refused.error["status"], refused.error["detail"]) == (403, "not today")
    assert (unfit.error["status"], unfit.retryable) == (400, False)
    assert in_thread.output == {"main": False, "a": 1}


async def test_a_pool_registers_what_it_serves_until_it_is_heard(shop: Shop) -> None:
    async with shop.executor():

        async def asked() -> Any:
            return await shop.link.call("XRANGE", names.commands(0), "-", "+")

        ((_, fields), *_) = await shop.until(asked, what="a registration")
    request = decode_for_orchestrator(fields[1])
    assert isinstance(request, RegisterFunctions)
    offered = {one.name: one for one in request.functions}
    assert set(offered) == {"book", "slow", "thread", "refuse"}
    assert offered["book"].input_schema is not None
    assert offered["book"].input_schema["required"] == ["number"]


async def test_a_pool_that_is_refused_stops_with_one_clear_line(shop: Shop) -> None:
    async with shop.executor() as process:

        async def asked() -> Any:
            return await shop.link.call("XRANGE", names.commands(0), "-", "+")

        ((_, fields), *_) = await shop.until(asked, what="a registration")
        request = decode_for_orchestrator(fields[1])
        reply = Reply(
            organization_id=request.organization_id,
            request_id=request.message_id,
            status=409,
            detail="book:1.0.0 has another schema",
        )
        await shop.publisher.publish([Outgoing(request.reply_to, encode(reply))])
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 2


async def test_a_killed_executors_task_is_run_by_another_and_the_loss_reported(shop: Shop) -> None:
    async with shop.executor() as first:
        task = await shop.send("slow", {"seconds": 2})
        await shop.effect_of(task)
        first.kill()
        await first.wait()
        async with shop.executor():
            done = await shop.result(task)
            await shop.emptied()
    reports = await shop.results(task)
    assert isinstance(done, TaskSucceeded)
    assert [type(one) for one in reports] == [WorkerLost, TaskSucceeded]
    assert await shop.effects() == [str(task.task_id)] * 2, "at least once, with the same key"


@pytest.mark.parametrize(
    ("failpoint", "results", "effects"),
    [
        ("after-claim", [WorkerLost, TaskSucceeded], 1),
        ("before-result-publish", [WorkerLost, TaskSucceeded], 2),
        ("after-result-publish", [TaskSucceeded, WorkerLost, TaskSucceeded], 2),
    ],
)
async def test_a_crash_at_any_point_leaves_a_task_that_ends(
    shop: Shop, failpoint: str, results: list[type], effects: int
) -> None:
    task = await shop.send("book", {"number": 1})
    async with shop.executor(KWE_FAILPOINT=failpoint) as dying:
        assert await asyncio.wait_for(dying.wait(), PATIENCE_S) == -signal.SIGKILL
    async with shop.executor():
        await shop.emptied()
    assert [type(one) for one in await shop.results(task)] == results
    assert await shop.effects() == [str(task.task_id)] * effects


async def test_a_flush_of_redis_is_survived(shop: Shop) -> None:
    async with shop.executor() as process:
        task = await shop.send("slow", {"seconds": 1.2})
        await shop.effect_of(task)
        await shop.link.call("FLUSHALL")
        done = await shop.result(task)
        again = await shop.result(await shop.send("book", {"number": 2}))
        assert process.returncode is None
    assert isinstance(done, TaskSucceeded)
    assert isinstance(again, TaskSucceeded)


async def test_sigterm_lets_running_tasks_finish(shop: Shop) -> None:
    async with shop.executor() as process:
        task = await shop.send("slow", {"seconds": 1})
        await shop.effect_of(task)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    assert [type(one) for one in await shop.results(task)] == [TaskSucceeded]


async def test_sigterm_hands_back_what_takes_too_long(shop: Shop) -> None:
    async with shop.executor(SHUTDOWN_GRACE="3500ms") as process:
        task = await shop.send("slow", {"seconds": 600})
        await shop.effect_of(task)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE_S) == 0
    assert await shop.link.call("XLEN", names.tasks(QUEUE)) == 1
    groups = await shop.link.call("XPENDING", names.tasks(QUEUE), names.EXECUTOR_GROUP)
    assert groups[0] == 0, "nobody has it, so whoever comes next may take it at once"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"EXECUTOR_MODULES": "/nowhere/functions.py"}, "there is no such file"),
        ({"EXECUTOR_MODULES": "json"}, "offers no function"),
        ({"EXECUTOR_QUEUES": "other"}, "EXECUTOR_QUEUES"),
        ({"DATABASE_URL": "postgresql://postgres@127.0.0.1:1/kwe"}, "PostgreSQL"),
    ],
)
async def test_what_an_operator_must_mend_is_one_line_and_exit_code_2(
    shop: Shop, environment: dict[str, str], words: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "executor",
        env=shop._environment | environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(process.communicate(), PATIENCE_S)
    assert process.returncode == 2
    assert words in stderr.decode()
    assert "Traceback" not in stderr.decode()
