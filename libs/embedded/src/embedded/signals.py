"""SIGINT and SIGTERM as events: the first asks to stop, the second to hurry."""

import asyncio
import signal
from types import TracebackType
from typing import Self

HANDLED = (signal.SIGINT, signal.SIGTERM)


class Signals:
    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for signum in HANDLED:
            loop.add_signal_handler(signum, self._on_signal)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        for signum in HANDLED:
            loop.remove_signal_handler(signum)

    def _on_signal(self) -> None:
        (self.hurry if self.stop.is_set() else self.stop).set()
