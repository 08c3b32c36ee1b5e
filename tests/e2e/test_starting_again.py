"""`kwe up` and `kwe demo` as processes: what they print, how they end, and what they survive."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS = 60
COMMAND = [sys.executable, "-c", "from kwe.cli.main import main; main()"]


@pytest.fixture
def folder(stack_folder: Path) -> Path:
    return stack_folder / "again"


@pytest.fixture
def environ(folder: Path, ports: Any) -> dict[str, str]:
    """Of the commands. The ports of a folder are its own, also while nothing runs on it."""
    ours = {"DATABASE_URL", "REDIS_URL", "QUESTION", "CRASH"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, **ports.keep_for_stack(folder), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def up(folder: Path, environ: dict[str, str]) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(until: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, "up", "--folder", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environ,
        )
        running.append(process)
        _read_until(process, until)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_everything_works_again_after_a_kill(
    up: Callable[[str], subprocess.Popen[str]], folder: Path, environ: dict[str, str]
) -> None:
    first = up("Ctrl-C")
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=PATIENCE_SECONDS)
    demo = subprocess.run(
        [*COMMAND, "demo", "--folder", str(folder), "--question", "How long is a tent's warranty?"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=environ,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "5 years" in demo.stdout
    assert "warranty.md, characters" in demo.stdout
    assert "conclude" in demo.stdout
    assert "stopped; the data stays" in demo.stdout


def test_an_interruption_while_starting_stops_what_was_started(
    up: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = up("database")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, said
    assert "Traceback" not in said


def _read_until(process: subprocess.Popen[str], words: str) -> None:
    assert process.stdout is not None
    deadline, said = time.monotonic() + PATIENCE_SECONDS, ""
    while words not in said and time.monotonic() < deadline:
        line = process.stdout.readline()
        assert line, f"it ended: {said}"
        said += line
    assert words in said
