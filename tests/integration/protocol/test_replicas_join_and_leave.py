"""Replicas come and go while executions run: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from protocol_stack import Desk, ProtocolStack

USUAL = 2


@pytest.fixture
async def scaled_back(stack: ProtocolStack) -> AsyncIterator[None]:
    yield
    for service in ("orchestrator", "executor"):
        await _scale(stack, service, USUAL)


async def _scale(stack: ProtocolStack, service: str, replicas: int) -> None:
    """On the loop that the stack's processes belong to."""
    await asyncio.to_thread(stack.run, stack.local.scale(service, replicas))


@pytest.mark.usefixtures("scaled_back")
async def test_nothing_is_lost_or_done_twice_while_replicas_join_and_leave(
    stack: ProtocolStack, desk: Desk
) -> None:
    ids: list[str] = []
    stop = asyncio.Event()

    async def load() -> None:
        while not stop.is_set():
            ids.append(await desk.start(input={"ms": 20}))

    loaders = [asyncio.create_task(load()) for _ in range(6)]
    for replicas in (4, 1, USUAL):
        await asyncio.gather(
            _scale(stack, "orchestrator", replicas), _scale(stack, "executor", replicas)
        )
        await _made_progress(desk, ids)
    stop.set()
    await asyncio.gather(*loaders)

    await desk.balanced(ids)
    assert len(stack.pids("orchestrator")) == len(stack.pids("executor")) == USUAL


async def _made_progress(desk: Desk, ids: list[str]) -> None:
    """Some executions that were started after this moment have ended."""
    already = len(ids)

    async def ended() -> Any:
        newer = ids[already : already + 20]
        return len(newer) == 20 and (await desk.statuses(newer))["completed"] == 20

    await desk.until(ended, "executions to end after replicas came or went")
