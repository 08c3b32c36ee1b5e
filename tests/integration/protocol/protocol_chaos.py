"""Trouble at random moments while work is going on, the same for the same seed as far as real processes allow.

The seed is printed; `KWE_CHAOS_SEED` sets it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from typing import Any
from uuid import UUID

from protocol_stack import Desk, ProtocolStack
from redis.exceptions import RedisError

EFFECTS_MAX = 12
"""Of one task: it runs again after each crash and each loss, always with its key."""


def chosen_seed() -> int:
    seed = int(os.environ.get("KWE_CHAOS_SEED") or time.time_ns() % 1_000_000)
    print(f"KWE_CHAOS_SEED={seed}")
    return seed


class Chaos:
    def __init__(self, stack: ProtocolStack, desk: Desk, seed: int) -> None:
        self._stack = stack
        self._desk = desk
        self._random = random.Random(seed)
        self.done: Counter[str] = Counter()
        self._accepted: list[str] = []
        self._over = False

    async def run(self, *, seconds: float, pause_s: float, kinds: tuple[str, ...]) -> list[str]:
        """Load and trouble for so long, each kind at least once; then wait for the load. What was accepted."""
        loads = [asyncio.create_task(self._load()) for _ in range(6)]
        ends_at = time.monotonic() + seconds
        order = list(kinds)
        self._random.shuffle(order)
        while order or time.monotonic() < ends_at:
            await asyncio.sleep(self._random.uniform(0.3, 1.7) * pause_s)
            kind = order.pop() if order else self._random.choice(kinds)
            await getattr(self, f"_{kind}")()
            self.done[kind] += 1
        self._over = True
        await asyncio.gather(*loads)
        await self._desk.ready()
        print(f"{len(self._accepted)} executions accepted; {dict(self.done)}")
        return self._accepted

    async def _load(self) -> None:
        while not self._over:
            key = str(UUID(int=self._random.getrandbits(128)))
            input = {"ms": self._random.choice((0, 0, 0, 200, 1000))}
            self._accepted.append(await self._desk.start(key=key, input=input))
            await asyncio.sleep(self._random.uniform(0, 0.3))

    # --- kinds of trouble -----------------------------------------------------------------------------

    async def _flush(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._desk.redis.flushall()

    async def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    async def _drain(self) -> None:
        self._signal(signal.SIGTERM)

    async def _pause(self) -> None:
        """Long enough that others take over what it held."""
        pid = self._signal(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(1, 5))
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def _postgres(self) -> None:
        """kill -9 of the server and all its workers; whoever keeps it starts it again."""
        await self._crash(self._stack.local.environment.postgres)

    async def _valkey(self) -> None:
        await self._crash(self._stack.local.environment.valkey)

    async def _crash(self, server: Any) -> None:
        await asyncio.to_thread(self._stack.run, server.kill())

    def _signal(self, signum: signal.Signals) -> int | None:
        pids = self._stack.pids()
        if not pids:
            return None
        pid = self._random.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)
        return pid
