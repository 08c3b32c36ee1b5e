"""One child process: started, watched, stopped.

A child never outlives the process that started it: the kernel sends it `on_parent_death` when
the *thread* that started it ends, so start children from a thread that lives as long as they
should. It leads a process group of its own, so that Ctrl-C at the terminal reaches only us.

Not bound to an event loop: one loop may start a child and another stop it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

LAUNCH = Path(__file__).with_name("launch.py")
LOG_BYTES_MAX = 16 * 1024 * 1024
LOG_TAIL_BYTES = 4096
LOG_TAIL_LINES = 15
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run, and how it dies with us."""

    argv: Sequence[str]
    """The program by absolute path, and its arguments."""
    env: Mapping[str, str]
    """The whole environment, not an addition to ours."""
    log: Path
    """Gets standard output and standard error, appended."""
    cwd: Path | None = None
    on_parent_death: signal.Signals = signal.SIGKILL
    prefix: Sequence[str] = ()
    """Words put before the program, such as `unshare --user …`; they must exec, not fork."""
    uid: int = 0
    """The user (and group) to become; 0 stays who we are."""


class Child:
    def __init__(self, process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
        self._process = process
        self.log = log
        self._log_start = log_start

    @classmethod
    def spawn(cls, command: Command) -> Self:
        rotate(command.log)
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid())]
        identity = [str(int(command.on_parent_death)), str(command.uid)]
        with command.log.open("ab") as log:
            log_start = log.tell()
            process = subprocess.Popen(  # noqa: S603 - argv, no shell
                [*command.prefix, *launch, *identity, *command.argv],
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, command.log, log_start)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """`None` while it runs; negative when a signal ended it."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.exit_code is None

    def send(self, signum: signal.Signals) -> None:
        self._process.send_signal(signum)

    def kill(self) -> None:
        """Kill it and its process group, at once and without notice. Does not wait."""
        if self.running:
            self.sweep()

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        while (code := self.exit_code) is None:
            await _readable_or_a_moment(self.pid)
        return code

    async def end(self) -> int:
        """Kill it, and return once it has gone."""
        self.kill()
        return await self.wait()

    async def stop(self, signum: signal.Signals, *, grace_seconds: float) -> int:
        """Ask it to end; kill it when it has not within the grace. May be called twice."""
        if self.running:
            self.send(signum)
        try:
            async with asyncio.timeout(grace_seconds):
                return await self.wait()
        except TimeoutError:
            return await self.end()

    def sweep(self) -> None:
        """Kill what an ended child left behind in its process group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def log_tail(self) -> str:
        """The last lines that it (and nobody before it) wrote, for an error message."""
        with self.log.open("rb") as file:
            file.seek(max(self._log_start, self.log.stat().st_size - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-LOG_TAIL_LINES:])


async def _readable_or_a_moment(pid: int) -> None:
    """Return when the process ends, where the kernel can tell; otherwise after a moment."""
    if not hasattr(os, "pidfd_open"):
        await asyncio.sleep(POLL_SECONDS)
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


def rotate(log: Path) -> None:
    """Keep one older log, so that a server that runs for months does not fill the disk twice."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_name(f"{log.name}.1"))
