"""Kill an executor while it works on a task, and tell what becomes of the execution."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from redis.asyncio import Redis

from common.streams import names
from kwe.errors import KweError, TimedOut
from kwe.examples import REFUND_POLICY

if TYPE_CHECKING:
    from embedded import ServiceStatus
    from kwe.client import Client, Execution
    from kwe.local.stack import LocalStack

WORKFLOW: Final = "support/refund-policy-reviewed"
QUEUE: Final = "default"
VARIABLES: Final = {"TASK_LEASE": "3s", "REFRESH_INTERVAL": "500ms"}
"""The death of an executor is noticed after the lease: 30 s by default, too long for a demonstration."""

LOOK_SECONDS: Final = 0.05
TIMEOUT_SECONDS: Final = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Crash:
    execution: Execution
    killed: str
    """Name of the executor."""


def variables(examples: Path) -> dict[str, str]:
    """Settings of the services for this demonstration: the short lease, and a function that takes its time."""
    return {**VARIABLES, "EXECUTOR_MODULES": str(examples / REFUND_POLICY / "review.py")}


async def crash(
    stack: LocalStack, client: Client, question: str, *, examples: Path, say: Say
) -> Crash:
    """Start the reviewed workflow, kill -9 the executor that reviews, and wait for the end."""
    await client.apply((examples / REFUND_POLICY / "reviewed.yaml").read_text())
    started = await client.start(WORKFLOW, {"question": question})
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            victim = await _busy_executor(stack)
            say(f"{victim.name} (process {victim.pid}) is working on the task `review`")
            stack.supervisor.kill(victim.name, signal.SIGKILL)
            say(f"kill -9 {victim.pid}: {victim.name} is dead, and its task unfinished")
            await _tell_of_loss(client, started.id, say)
            execution = await client.wait(started.id)
    except TimeoutError:
        raise TimedOut(
            f"execution {started.id} has not ended within {TIMEOUT_SECONDS:g} s"
        ) from None
    await _tell_who_finished(stack, client, execution, victim, say)
    return Crash(execution, victim.name)


async def _busy_executor(stack: LocalStack) -> ServiceStatus:
    """Whoever has taken the entry of the queue: Redis knows each entry's consumer."""
    redis = Redis.from_url(stack.environment.redis_url)
    try:
        while True:
            for entry in await _pending(redis):
                consumer: str = entry["consumer"].decode()
                if found := _executor_called(stack, consumer):
                    return found
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await redis.aclose()


async def _pending(redis: Redis) -> list[Any]:
    from redis.exceptions import ResponseError

    try:
        found: list[Any] = await redis.xpending_range(
            names.tasks(QUEUE), names.EXECUTOR_GROUP, min="-", max="+", count=10
        )
    except ResponseError:  # no task was ever put there
        return []
    return found


def _executor_called(stack: LocalStack, consumer: str) -> ServiceStatus | None:
    """Consumers are named after their host and process."""
    executors = [one for one in stack.supervisor.statuses() if one.name.startswith("executor")]
    words = consumer.split("-")
    return next((one for one in executors if str(one.pid) in words or one.name == consumer), None)


async def _tell_of_loss(client: Client, execution_id: str, say: Say) -> None:
    """Return when somebody has noticed, or it has ended already."""
    while True:
        execution = await client.get(execution_id)
        if execution.is_finished:
            return
        if any(one.executors_lost for one in execution.waiting_for):
            say("another executor found the task without a sign of life, and has taken it over")
            return
        await asyncio.sleep(LOOK_SECONDS * 4)


async def _tell_who_finished(
    stack: LocalStack, client: Client, execution: Execution, victim: ServiceStatus, say: Say
) -> None:
    tasks = await client.tasks(execution.id)
    review = next((task for task in tasks if task.name == "review"), None)
    if review is None:
        raise KweError(f"execution {execution.id} has no task `review`: {execution.status}")
    if review.worker and (by := _executor_called(stack, review.worker)):
        again = " (it was started again)" if by.name == victim.name else ""
        say(
            f"{by.name} (process {by.pid}) has finished it{again}: the execution is {execution.status}"
        )
