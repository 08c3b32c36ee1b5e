"""Commands of the guide that need a cluster or a container engine, as far as that: their programs accept the words.

Nothing answers where they are sent, so nothing is changed, whatever this machine is connected to.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from fenced_blocks import OPERATIONS, ROOT, blocks, program

NOBODY = "127.0.0.1:1"


def commands(needs: str) -> list[list[str]]:
    return [
        program(command)
        for block in blocks(OPERATIONS)
        if block.language == "bash" and block.needs == needs
        for command in block.commands
    ]


def refused(words: list[str], folder: Path, **variables: str) -> str:
    """What a program says that found nobody to talk to."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr + done.stdout


def compose_program() -> list[str] | None:
    named = os.environ.get("KWE_COMPOSE")
    for words in [[named]] if named else [["docker", "compose"], ["docker-compose"]]:
        if shutil.which(words[0]) is None:
            continue
        if subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0:
            return words
    return None


@pytest.mark.parametrize("command", commands("cluster"), ids=shlex.join)
def test_kubectl_looks_for_the_cluster(command: list[str]) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl here")
    words = ["kubectl", "--server", f"http://{NOBODY}", *command[1:]]
    said = refused(words, ROOT, KUBECONFIG=os.devnull)
    assert f"{NOBODY} was refused" in said or f"{NOBODY}: connect: connection refused" in said


@pytest.mark.parametrize("command", commands("container engine"), ids=shlex.join)
def test_compose_looks_for_the_container_engine(command: list[str]) -> None:
    found = compose_program()
    if found is None:
        pytest.skip("there is no Compose here: install it, or name one in KWE_COMPOSE")
    words = [*found, *command[2:]]
    said = refused(words, ROOT / "deploy/compose", DOCKER_HOST=f"tcp://{NOBODY}")
    assert f"Cannot connect to the Docker daemon at tcp://{NOBODY}" in said
