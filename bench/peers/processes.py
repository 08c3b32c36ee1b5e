"""Processes of the other engines: started, waited for, ended with everything they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.peers.installing import HOME, NotAvailable

READY_SECONDS_MAX: Final = 60.0
STOP_SECONDS_MAX: Final = 15.0


@asynccontextmanager
async def process(
    name: str, *argv: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run it for the length of the block; what it says goes to `.kwe/peers/NAME.log`."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / f"{name}.log").open("ab") as log:
        started = await asyncio.create_subprocess_exec(
            *argv, stdout=log, stderr=log, cwd=cwd, env=env, start_new_session=True
        )
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await started.wait()
        except TimeoutError:
            os.killpg(started.pid, signal.SIGKILL)
            await started.wait()


async def until(ready: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a condition. Raises `NotAvailable` when it takes too long."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not await ready():
        if time.monotonic() > deadline:
            raise NotAvailable(f"{what} was not ready within {READY_SECONDS_MAX:.0f} s")
        await asyncio.sleep(0.1)
