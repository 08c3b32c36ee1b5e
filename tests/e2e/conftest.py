"""The whole product on this machine, as `kwe up` starts it, for the length of these tests.

`stack`    the running processes; tests speak to it through the gateway
`project`  a folder in which the command line finds the stack's credentials; the current one during the test
`client`   a client of it
`kwe`      runs a command of the command line: `.code`, `.out`, `.err`
"""

import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kwe import Client
from kwe.cli.main import run
from kwe.examples import examples_folder
from kwe.local import crash
from kwe.local.stack import LocalStack

EXAMPLES = examples_folder(Path(__file__))


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(scope="package")
def stack_folder() -> Iterator[Path]:
    """Where PostgreSQL runs as `nobody`, it must get in: not pytest's own temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="kwe-e2e-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="package")
def stack(fixture_loop: Any, stack_folder: Path, ports: Any) -> Iterator[LocalStack]:
    """Two executors, one of everything else. A short lease, because executors are killed here."""
    ours = ("DATABASE_URL", "REDIS_URL", "PORT", "QUESTION", "CRASH", "KWE_URL", "KWE_API_KEY")
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    environ |= crash.variables(EXAMPLES) | ports.keep_for_stack(stack_folder / ".kwe")
    started = LocalStack(stack_folder / ".kwe", environ, replicas={"executor": 2})
    fixture_loop.run(started.__aenter__())
    yield started
    fixture_loop.run(started.__aexit__(None, None, None))


@pytest.fixture
def project(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("KWE_URL", "KWE_API_KEY", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = stack.folder.parent / "project"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
async def client(stack: LocalStack) -> AsyncIterator[Client]:
    async with Client(stack.url, stack.api_key) as opened:
        yield opened


@pytest.fixture
def kwe(project: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = run([*arguments])
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture
def kill_executor(stack: LocalStack) -> Callable[[str], None]:
    return lambda name: stack.supervisor.kill(name, signal.SIGKILL)
