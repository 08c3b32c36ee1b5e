"""Ends a process whose event loop stands still, so that its messages go to a fresh one.

A turn is bounded in transitions and expressions in cost, so a turn of seconds is a bug or a hostile document that found
a gap. The process is of no use to anybody while it lasts. Its messages are delivered again and decided alone; what kills
its process again and again is set aside (`intake`).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

STANDSTILL_S = 5.0
BEAT_S = 0.5
EXIT_STANDSTILL = 70


class Watchdog:
    def __init__(self, *, standstill_s: float = STANDSTILL_S) -> None:
        self._standstill_s = standstill_s
        self._beat_at = time.monotonic()
        self._stopped = threading.Event()

    @asynccontextmanager
    async def watching(self) -> AsyncGenerator[None]:
        """Watch the running loop for as long as the block lasts."""
        beating = asyncio.create_task(self._beat(), name="watchdog-beat")
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        try:
            yield
        finally:
            self._stopped.set()
            beating.cancel()

    async def _beat(self) -> None:
        while True:
            self._beat_at = time.monotonic()
            await asyncio.sleep(BEAT_S)

    def _watch(self) -> None:
        seen_still_s = 0.0
        while not self._stopped.wait(1.0):
            # Counted in our own waits, not read off the clock: a process that was stopped and continued, or a machine
            # that slept, is not standing still.
            stands_still = time.monotonic() - self._beat_at > 2 * BEAT_S
            seen_still_s = seen_still_s + 1.0 if stands_still else 0.0
            if seen_still_s >= self._standstill_s:
                sys.stderr.write("orchestrator: the event loop stands still; ending the process\n")
                faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
                os._exit(EXIT_STANDSTILL)
