"""The watchdog ends a process that stands still, and no other."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from orchestrator.watchdog import EXIT_STANDSTILL

PROGRAM = """
import asyncio, os, sys, time
from orchestrator.watchdog import Watchdog

async def main():
    async with Watchdog(standstill_s=2.0).watching():
        print("watching", flush=True)
        {body}
        print("lived", flush=True)

asyncio.run(main())
"""


STANDING = "time.sleep(60)"
BUSY = "[await asyncio.sleep(0.01) or time.sleep(0.3) for _ in range(10)]"
STOPPED = "await asyncio.sleep(6)"


@pytest.fixture(scope="module")
def processes() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """All at once: each takes seconds, and next to no processor time."""
    started = {body: run(body) for body in (STANDING, BUSY, STOPPED)}
    yield started
    for process in started.values():
        process.kill()
        process.communicate()


def run(body: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_process_that_was_stopped_and_continued_is_left_alone(
    processes: dict[str, subprocess.Popen[str]],
) -> None:
    process = processes[STOPPED]
    assert process.stdout is not None
    assert process.stdout.readline() == "watching\n"
    process.send_signal(signal.SIGSTOP)
    try:
        # Longer than the watchdog's patience: what is waited for is that nothing happens.
        process.wait(timeout=4)
    except subprocess.TimeoutExpired:
        pass
    process.send_signal(signal.SIGCONT)
    said, _ = process.communicate(timeout=60)
    assert "lived" in said
    assert process.returncode == 0


def test_a_loop_that_stands_still_ends_the_process_with_its_traceback(
    processes: dict[str, subprocess.Popen[str]],
) -> None:
    process = processes[STANDING]
    _, errors = process.communicate(timeout=60)
    assert process.returncode == EXIT_STANDSTILL
    assert "stands still" in errors
    assert "main" in errors


def test_a_busy_loop_that_breathes_is_left_alone(
    processes: dict[str, subprocess.Popen[str]],
) -> None:
    process = processes[BUSY]
    said, _ = process.communicate(timeout=60)
    assert "lived" in said
    assert process.returncode == 0
