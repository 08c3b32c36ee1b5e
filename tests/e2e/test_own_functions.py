"""A project of one's own, as `kwe init` makes it and its README tells."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS = 30


@pytest.fixture
def mine(project: Path, kwe: Callable[..., Any]) -> Path:
    folder = project / "mine"
    if not folder.exists():
        assert kwe("init", str(folder)).code == 0
    return folder


@pytest.fixture
def worker(mine: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = "from kwe.cli.main import main; main()"
    arguments = ["worker", "./functions.py", "--queue", "greetings"]
    with (mine / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", command, *arguments], cwd=mine, stdout=log, stderr=log
        )
    yield process
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_function_of_ones_own_is_called(
    mine: Path, worker: subprocess.Popen[bytes], kwe: Callable[..., Any]
) -> None:
    applied = _until_registered(mine, worker, kwe)
    assert applied.code == 0, applied.err
    ended = kwe("run", "examples/greeting", "-i", '{"name": "Ada", "language": "de"}')
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["message"] == "Hallo, Ada!"
    refused = kwe("run", "examples/greeting", "-i", '{"name": ""}')
    assert refused.code == 1


def _until_registered(mine: Path, worker: subprocess.Popen[bytes], kwe: Callable[..., Any]) -> Any:
    """The worker tells the engine of its functions once it has started."""
    import time

    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        applied = kwe("workflows", "apply", str(mine / "workflow.yaml"))
        if applied.code == 0 or time.monotonic() > deadline or worker.poll() is not None:
            return applied
