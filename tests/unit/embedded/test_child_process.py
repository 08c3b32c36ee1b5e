"""Child processes: watched from any loop, ended in order or by force, and logged."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from embedded.errors import FolderBusy
from embedded.folder import FolderLock, processes_in
from embedded.process import LOG_BYTES_MAX, Child, Command, rotate

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + FOREVER


def spawn(log: Path, code: str) -> Child:
    return Child.spawn(Command(argv=[sys.executable, "-c", code], env={"MARK": "yes"}, log=log))


async def said(child: Child, words: str) -> None:
    async with asyncio.timeout(20):
        while words not in child.log_tail():  # noqa: ASYNC110 - a file cannot be awaited
            await asyncio.sleep(0.02)


async def test_it_has_only_the_environment_it_was_given(tmp_path: Path) -> None:
    child = spawn(tmp_path / "log", "import os; print(sorted(os.environ))")
    assert await child.wait() == 0
    assert "MARK" in child.log_tail()
    assert "PATH" not in child.log_tail()


async def test_it_stops_when_asked(tmp_path: Path) -> None:
    child = spawn(tmp_path / "log", FOREVER)
    await said(child, "up")
    assert await child.stop(signal.SIGTERM, grace_seconds=20) == -signal.SIGTERM
    assert await child.stop(signal.SIGTERM, grace_seconds=20) == -signal.SIGTERM


async def test_it_is_killed_when_it_does_not_listen(tmp_path: Path) -> None:
    child = spawn(tmp_path / "log", DEAF)
    await said(child, "up")
    assert await child.stop(signal.SIGTERM, grace_seconds=0.1) == -signal.SIGKILL


def test_it_may_outlive_the_loop_that_started_it(tmp_path: Path) -> None:
    async def start() -> Child:
        return spawn(tmp_path / "log", FOREVER)

    async def stop(child: Child) -> int:
        assert child.running
        return await child.stop(signal.SIGKILL, grace_seconds=20)

    assert asyncio.run(stop(asyncio.run(start()))) == -signal.SIGKILL


async def test_its_log_tail_has_nothing_of_its_predecessors(tmp_path: Path) -> None:
    for word in ("first", "second"):
        child = spawn(tmp_path / "log", f"print('{word}')")
        await child.wait()
    assert child.log_tail() == "second"


def test_a_log_that_grew_large_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "new folder" / "log"
    rotate(log)
    log.write_bytes(b"x" * (LOG_BYTES_MAX + 1))
    rotate(log)
    assert not log.exists()
    assert (log.parent / "log.1").stat().st_size > LOG_BYTES_MAX


async def test_processes_are_found_by_their_working_folder(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", FOREVER]
    child = Child.spawn(Command(argv=argv, env={}, log=tmp_path / "log", cwd=tmp_path))
    await said(child, "up")
    name = Path(f"/proc/{child.pid}/comm").read_text().strip()  # noqa: ASYNC240 - not a disk
    assert [found.pid for found in processes_in(tmp_path, name)] == [child.pid]
    await child.stop(signal.SIGKILL, grace_seconds=20)
    assert processes_in(tmp_path, name) == []


def test_a_folder_lock_names_its_owner_and_can_be_taken_over(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    first.acquire()
    with pytest.raises(FolderBusy, match=f"in use by process {os.getpid()}"):
        second.acquire()
    first.release()
    second.acquire()
    assert second.held
    second.release()
