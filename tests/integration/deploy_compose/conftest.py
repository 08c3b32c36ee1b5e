"""Where the tools are that check what Compose starts: skipped with a clear word where one is missing.

`KWE_NGINX` names an nginx that is not in the PATH, `KWE_COMPOSE` a Compose.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(Path(__file__).parent))


@dataclass(frozen=True)
class Program:
    command: list[str]
    version: tuple[int, ...]

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload, no-any-return]
            [*self.command, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **{"timeout": 60, **options},
        )


def found(command: list[str], *version_arguments: str) -> Program | None:
    """The program and its version, if it is there and says it."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(
        [*command, *version_arguments], capture_output=True, text=True, timeout=30, check=False
    )
    said = re.search(r"(\d+)\.(\d+)\.(\d+)", done.stdout + done.stderr)
    if done.returncode != 0 or said is None:
        return None
    return Program(command, tuple(int(number) for number in said.groups()))


@pytest.fixture(scope="session")
def compose_folder() -> Path:
    return ROOT / "deploy/compose"


@pytest.fixture(scope="session")
def nginx() -> Program:
    program = found([os.environ.get("KWE_NGINX", "nginx")], "-v")
    if program is None:
        pytest.skip("there is no nginx here: install it, or name one in KWE_NGINX")
    return program


@pytest.fixture(scope="session")
def compose() -> Program:
    named = os.environ.get("KWE_COMPOSE")
    candidates = [[named]] if named else [["docker", "compose"], ["docker-compose"]]
    for candidate in candidates:
        program = found(candidate, "version")
        if program is not None and program.version >= (2, 24):
            return program
    pytest.skip("there is no Compose 2.24 or newer here: install it, or name one in KWE_COMPOSE")


@pytest.fixture(scope="session")
def promtool() -> Program:
    program = found(["promtool"], "--version")
    if program is None:
        pytest.skip("there is no promtool here: install Prometheus")
    return program


@pytest.fixture(scope="session")
def amtool() -> Program:
    program = found(["amtool"], "--version")
    if program is None:
        pytest.skip("there is no amtool here: install Alertmanager")
    return program
