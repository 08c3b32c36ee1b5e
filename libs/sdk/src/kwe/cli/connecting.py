"""A client for a command, from the environment or the nearest credentials file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from kwe.cli.failures import complete

if TYPE_CHECKING:
    from kwe.client import Client

T = TypeVar("T")

PATIENCE_SECONDS = 3.0
"""A person at a terminal hears soon that nobody answers."""


@asynccontextmanager
async def connected() -> AsyncGenerator[Client, None]:
    from kwe.client import Client

    async with Client(patience=PATIENCE_SECONDS) as client:
        yield client


def ask(work: Callable[[Client], Awaitable[T]]) -> T:
    """Run `work` with a client and return what it found."""

    async def asked() -> T:
        async with connected() as client:
            return await work(client)

    return complete(asked())
