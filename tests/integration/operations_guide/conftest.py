"""An installation as the guide's reader has one: services that run, settings in a file, an execution that waits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fenced_blocks import ROOT
from kwe import Client
from kwe.local.bootstrap import connection, create_key, ensure_organization, list_keys
from kwe.local.stack import LocalStack

WAITING = """
document: {dsl: '1.0.3', namespace: guide, name: waiting, version: '1.0.0'}
do:
  - pause: {wait: {hours: 1}}
"""
OURS = ("DATABASE_", "REDIS_", "KWE_", "JWT_", "PORT", "METRICS_", "APP_ENV", "OPENAI_", "SECRETS_")
FROM_FILES = {
    "JWT_SECRET": "JWT_SECRET_FILE=secrets/jwt_secret",
    "ENCRYPTION_KEY": "ENCRYPTION_KEY_FILE=secrets/encryption_key",
    "LLM_PROVIDER": "LLM_PROVIDER=extractive",
    "DATABASE_PASSWORD": "",
    "DATABASE_SSL": "DATABASE_SSL=false",
    "REDIS_PASSWORD": "",
}
"""What an operator writes instead of lines of the example, with secrets in files and servers that have no password."""


@dataclass(frozen=True)
class Reader:
    """Somebody at a shell, in a folder with `.env.production`, with `kwe` in the path."""

    folder: Path
    variables: dict[str, str]
    addresses: dict[str, str]
    """Of the guide's text, and where they are here."""

    def types(self, text: str) -> subprocess.CompletedProcess[str]:
        for written, here in self.addresses.items():
            text = text.replace(written, here)
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """PostgreSQL may run as `nobody`, who must get in."""
    made = Path(tempfile.mkdtemp(prefix="kwe-guide-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _untouched() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


@pytest.fixture(scope="module")
def stack(fixture_loop: Any, folder: Path, ports: Any) -> Iterator[LocalStack]:
    started = LocalStack(folder / ".kwe", _untouched() | ports.keep_for_stack(folder / ".kwe"))
    fixture_loop.run(started.__aenter__())
    yield started
    fixture_loop.run(started.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def reader(stack: LocalStack, fixture_loop: Any, folder: Path) -> Reader:
    gateway = next(one for one in stack.supervisor.statuses() if one.name.startswith("gateway"))
    addresses = {
        "http://localhost:3000": stack.url,
        "http://localhost:9090": f"http://127.0.0.1:{gateway.metrics_port}",
    }
    variables = _untouched() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": stack.environment.database_url,
        "REDIS_URL": stack.environment.redis_url,
        "KWE_URL": stack.url,
        "KWE_API_KEY": stack.api_key,
    }
    variables |= fixture_loop.run(_things_to_name(stack, variables))
    _write_settings(folder, variables)
    return Reader(folder, variables, addresses)


async def _things_to_name(stack: LocalStack, variables: dict[str, str]) -> dict[str, str]:
    """An empty database, an execution that waits, a key to revoke: what readers have of their own."""
    async with connection(variables) as database:
        await database.execute("CREATE DATABASE rehearsal")
        organization, _ = await ensure_organization(database, "acme")
        await create_key(database, organization, ["admin"], name="to be revoked")
        (key,) = await list_keys(database, organization)
    async with Client(stack.url, stack.api_key) as client:
        await client.apply(WAITING)
        execution = await client.start("guide/waiting")
    rehearsal = urlsplit(variables["DATABASE_URL"])._replace(path="/rehearsal").geturl()
    return {
        "REHEARSAL_DATABASE_URL": rehearsal,
        "ID": str(execution.id),
        "KEY_ID": str(key["id"]),
    }


def _write_settings(folder: Path, variables: dict[str, str]) -> None:
    """The example, edited as its first line asks."""
    edits = FROM_FILES | {
        name: f"{name}={variables[name]}" for name in ("DATABASE_URL", "REDIS_URL")
    }
    lines = []
    for line in (ROOT / ".env.production.example").read_text().splitlines():
        name = line.removeprefix("#").partition("=")[0]
        lines.append(edits.get(name, line))
    (folder / ".env.production").write_text("\n".join(lines))
