"""Local servers that stand for the outside world, and a try to perform functions in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from common.ids import uuid7
from common.serving.context import TaskContext

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Heard:
    """A delta sink that remembers."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, context: TaskContext, text: str) -> None:
        del context
        self.texts.append(text)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def context(heard: Heard) -> TaskContext:
    return TaskContext(
        organization_id=UUID(int=1),
        execution_id=uuid7(),
        task_id=UUID(int=2),
        attempt=3,
        workflow_id="tests/executor",
        name="step",
        reference="/do/0/step",
        deltas=heard,
    )


@asynccontextmanager
async def _serve(answer: Answer) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
def serve() -> Any:
    """`async with serve(handler) as url:` a server on a free port."""
    return _serve
