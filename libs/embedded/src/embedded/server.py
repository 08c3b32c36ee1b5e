"""The life of an embedded server, whichever it is.

A folder belongs to one living owner. Starting takes the folder, stops what a dead owner left
running on it, and tries ports until one is ours. Stopping keeps the data and gives the folder back.
"""

import asyncio
import contextlib
import os
import signal
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Final

from embedded.errors import EmbeddedError, StartFailed
from embedded.folder import FolderLock, processes_in, stop_orphans
from embedded.ports import RememberedPort
from embedded.process import Child

START_SECONDS_MAX: Final = 60.0
START_ATTEMPTS_MAX: Final = 5
POLL_SECONDS: Final = 0.03
REPAIR_PAUSE_SECONDS_FIRST: Final = 0.2
REPAIR_PAUSE_SECONDS_MAX: Final = 10.0


class EmbeddedServer(ABC):
    """One child process that keeps its data in a folder. Use it from one event loop at a time."""

    name: ClassVar[str]
    """What people call it."""
    program: ClassVar[str]
    """The name of its processes."""
    orderly: ClassVar[signal.Signals]
    """The signal that makes it save everything and end."""
    stop_grace_seconds: ClassVar[float] = 20.0

    def __init__(self, folder: Path, *, data: Path, log: Path, port: RememberedPort) -> None:
        self._folder = folder
        self._data = data
        """Its working directory, by which its processes are known."""
        self._log = log
        self._port = port
        self._lock = FolderLock(folder)
        self._child: Child | None = None
        self._listening = 0
        self._wanted = False
        self._changing = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port of the latest start, by us or by another process."""
        return self._listening or self._port.latest() or 0

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.running else None

    @property
    def running(self) -> bool:
        return self.pid is not None

    async def start(self) -> None:
        """Start, and return once it answers. Does nothing when it already runs."""
        async with self._changing:
            self._wanted = True
            if not self.running:
                await self._start()

    async def stop(self) -> None:
        """Stop in order, keeping the data. May be called twice, or before a start."""
        async with self._changing:
            self._wanted = False
            # Without the lock, what runs on this folder belongs to somebody else.
            if not self._lock.held:
                return
            if self._child is not None:
                await self._child.stop(self.orderly, grace_seconds=self.stop_grace_seconds)
            await stop_orphans(self._data, self.program, ask=self.orderly)
            self._lock.release()

    async def kill(self) -> None:
        """kill -9 of the server and all its workers. Keeps the folder, for the next start."""
        if not self._lock.held:
            return
        for process in processes_in(self._data, self.program):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        if self._child is not None:
            await self._child.end()
        await stop_orphans(self._data, self.program, ask=signal.SIGKILL)

    async def restart(self) -> None:
        """Stop in order (or find it dead) and start again on the same port."""
        await self.stop()
        await self.start()

    async def keep(self) -> None:
        """Start it again whenever it ends without having been stopped. Runs until cancelled."""
        pause = REPAIR_PAUSE_SECONDS_FIRST
        while True:
            if self._child is not None:
                await self._child.wait()
            await asyncio.sleep(pause)
            pause = min(pause * 2, REPAIR_PAUSE_SECONDS_MAX)
            if self._wanted:
                # Its log says why; the next try comes after a longer pause.
                with contextlib.suppress(EmbeddedError, OSError):
                    await self.start()
                    pause = REPAIR_PAUSE_SECONDS_FIRST

    async def _start(self) -> None:
        self._prepare_folder()
        self._lock.acquire()
        try:
            await stop_orphans(self._data, self.program, ask=self.orderly)
            await self._prepare_data()
            await self._start_on_a_free_port()
            await self._complete()
        except BaseException:
            if self._child is not None:
                await self._child.end()
            self._lock.release()
            raise

    async def _start_on_a_free_port(self) -> None:
        for _ in range(START_ATTEMPTS_MAX):
            port = self._port.choose()
            self._child = child = self._spawn(port)
            if await self._became_ready(child, port):
                self._listening = port
                return
            if not self._worth_another_try(child, port):
                break
        raise StartFailed(f"{self.name} did not start; {self._log} ends with:\n{child.log_tail()}")

    async def _became_ready(self, child: Child, port: int) -> bool:
        """`False` when it ended, or took too long."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while child.running and time.monotonic() < deadline:
            # Asked again after the answer: it may have come from whoever took the port first.
            if await self._answers(child, port) and child.running:
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    def _worth_another_try(self, child: Child, port: int) -> bool:
        if child.running:
            return False
        said = child.log_tail()
        if self._port.changeable and "Address already in use" in said:
            self._port.lost(port)
            return True
        return self._mended(said)

    @abstractmethod
    def _prepare_folder(self) -> None:
        """Create the folder and the password. Called before the folder is ours."""

    async def _prepare_data(self) -> None:  # noqa: B027 - not every server needs it
        """Bring the data into a state in which the server will start."""

    async def _complete(self) -> None:  # noqa: B027 - not every server needs it
        """Do what can only be done while the server runs."""

    @abstractmethod
    def _spawn(self, port: int) -> Child: ...

    @abstractmethod
    async def _answers(self, child: Child, port: int) -> bool: ...

    def _mended(self, said: str) -> bool:
        """Whether what it complained of before it ended has been put right."""
        del said
        return False
