"""`kwe`: the command line as an operator runs it on one database; `S3` that speaks the real protocol."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import pytest

from common.ids import uuid7
from kwe.cli.main import run

DEADLINE_S = 30


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


@pytest.fixture
def kwe(monkeypatch: Any, capsys: Any) -> Callable[..., Said]:
    """`kwe(dsn, "backup", "--to", folder)`: exit code and what was printed."""
    monkeypatch.delenv("REDIS_URL", raising=False)

    def call(dsn: str, *arguments: object) -> Said:
        monkeypatch.setenv("DATABASE_URL", dsn)
        capsys.readouterr()
        code = run([str(each) for each in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


@dataclass(frozen=True)
class Auditor:
    """Asks a database from outside."""

    run: Callable[[Any], Any]

    def fetch(self, dsn: str, query: str, *arguments: Any) -> list[Any]:
        async def work() -> Any:
            connection = await asyncpg.connect(dsn)
            try:
                return await connection.fetch(query, *arguments)
            finally:
                await connection.close()

        rows: list[Any] = self.run(work())
        return rows

    def value(self, dsn: str, query: str, *arguments: Any) -> Any:
        return self.fetch(dsn, query, *arguments)[0][0]

    def fill(self, dsn: str) -> None:
        """An organisation with an execution that waits, and its history."""
        organization, execution = uuid7(), uuid7()
        self.fetch(
            dsn,
            "INSERT INTO workflow.organizations (id, name) VALUES ($1, $2)",
            organization,
            "acme",
        )
        self.fetch(
            dsn,
            "INSERT INTO workflow.workflow_executions (id, organization_id, workflow_id, workflow_version, semver, "
            "status, created_at, updated_at) VALUES ($1, $2, 'a/b', 1, '1.0.0', 'waiting', now(), now())",
            execution,
            organization,
        )
        self.fetch(
            dsn,
            "INSERT INTO workflow.history (execution_id, organization_id, seq_from, seq_to, at, events) "
            "VALUES ($1, $2, 1, 1, now(), '[]')",
            execution,
            organization,
        )

    def contents(self, dsn: str) -> dict[str, int]:
        """How many rows each of our tables has."""
        tables = self.fetch(
            dsn,
            "SELECT schemaname || '.' || relname FROM pg_stat_user_tables "
            "WHERE schemaname IN ('workflow', 'knowledge', 'public') ORDER BY 1",
        )
        return {row[0]: self.value(dsn, f"SELECT count(*) FROM {row[0]}") for row in tables}


@pytest.fixture
def auditor(fixture_loop: Any) -> Auditor:
    return Auditor(fixture_loop.run)


@pytest.fixture(scope="module")
def s3_url(ports: Any) -> Iterator[str]:
    """A server of S3's protocol, in a process of its own."""
    port = ports.take()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(f"{url}/moto-api/", timeout=1):
                break
        except OSError:
            assert server.poll() is None, "the stand-in for S3 ended"
            assert time.monotonic() < deadline, "the stand-in for S3 did not start"
            time.sleep(0.05)
    yield url
    server.terminate()
    server.wait(10)


@pytest.fixture
def bucket(s3_url: str, monkeypatch: Any) -> str:
    import boto3

    for name, value in (
        ("AWS_ACCESS_KEY_ID", "testing"),
        ("AWS_SECRET_ACCESS_KEY", "testing"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL_S3", s3_url),
    ):
        monkeypatch.setenv(name, value)
    name = f"backups-{uuid4().hex[:8]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name
