"""An installation as the guide's reader has one: services that run, settings in a file, an execution that waits."""

from __future__ import annotations

import json
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

import asyncpg
import pytest

from fenced_blocks import ROOT
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

    def gets(self, text: str) -> str:
        done = self.types(text)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


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
    database = stack.environment.database_url
    rehearsal = urlsplit(database)._replace(path="/rehearsal").geturl()
    fixture_loop.run(_create_database(database, "rehearsal"))
    variables = _untouched() | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": database,
        "REDIS_URL": stack.environment.redis_url,
        "REHEARSAL_DATABASE_URL": rehearsal,
        "KWE_URL": stack.url,
        "KWE_API_KEY": stack.api_key,
    }
    gateway = next(one for one in stack.supervisor.statuses() if one.name.startswith("gateway"))
    addresses = {
        "http://localhost:3000": stack.url,
        "http://localhost:9090": f"http://127.0.0.1:{gateway.metrics_port}",
    }
    _write_settings(folder, variables)
    reader = Reader(folder, variables, addresses)
    (folder / "waiting.yaml").write_text(WAITING)
    reader.gets("kwe workflows apply waiting.yaml")
    variables["ID"] = reader.gets("kwe run guide/waiting --detach")
    reader.gets("kwe admin create-organization acme && kwe admin create-key --organization acme")
    keys = json.loads(reader.gets("kwe admin list-keys --organization acme -o json"))
    variables["KEY_ID"] = keys[0]["id"]
    return reader


async def _create_database(dsn: str, name: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


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
