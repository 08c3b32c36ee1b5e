"""The folder of one embedded server: who looks after it, and what a dead owner left running.

The owner holds a lock that the kernel releases when he dies, however he dies. Whoever gets the
lock therefore knows that a server still running on this folder is an orphan, and may stop it.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError, FolderBusy

ORPHAN_GRACE_SECONDS = 10.0
POLL_SECONDS = 0.05


class FolderLock:
    """At most one living owner per folder."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "owner.lock"
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self) -> None:
        if self.held:
            return
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise FolderBusy(
                f"{self._file.parent} is in use by process {owner}. "
                f"Stop that one first, or choose another folder."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def is_taken(self) -> bool:
        """Whether somebody alive looks after the folder."""
        try:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@dataclass(frozen=True, slots=True)
class Orphan:
    pid: int
    leads: bool
    """Whether it is the server's main process rather than one of its workers."""


def processes_in(folder: Path, program: str) -> list[Orphan]:
    """Processes of `program` whose working directory is `folder`.

    PostgreSQL with all its backends, and Valkey, make their data folder their working directory.
    Where the system has no /proc nothing is found, and the server itself must cope.
    """
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        # Processes come and go while we look, and some are not ours to inspect.
        with contextlib.suppress(OSError):
            name, state, parent = _status(entry)
            # Zombies count as gone: they hold nothing.
            if name == program and state != "Z" and (entry / "cwd").readlink() == folder.resolve():
                parents[int(entry.name)] = parent
    return [Orphan(pid, leads=parent not in parents) for pid, parent in parents.items()]


async def stop_orphans(folder: Path, program: str, *, ask: signal.Signals) -> None:
    """Stop what a dead owner left running on this folder; kill what does not listen."""
    if await _signalled(folder, program, ask, leaders_only=True):
        return
    if not await _signalled(folder, program, signal.SIGKILL, leaders_only=False):
        pids = [orphan.pid for orphan in processes_in(folder, program)]
        raise EmbeddedError(f"processes {pids} still use {folder} and cannot be stopped")


async def _signalled(
    folder: Path, program: str, signum: signal.Signals, *, leaders_only: bool
) -> bool:
    """Send the signal, and tell whether all have gone within the grace."""
    for orphan in processes_in(folder, program):
        if orphan.leads or not leaders_only:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan.pid, signum)
    try:
        async with asyncio.timeout(ORPHAN_GRACE_SECONDS):
            # Polled, because another process's child cannot be awaited.
            while processes_in(folder, program):  # noqa: ASYNC110
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


def _status(entry: Path) -> tuple[str, str, int]:
    """Name, state and parent of a process."""
    name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
    state, parent = rest.split()[:2]
    return name, state, int(parent)


def write_private(file: Path, content: str) -> None:
    """Write a file that only we may read, from its first byte on."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(f"{content}\n")
