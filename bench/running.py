"""The whole system with the benchmark's function on board, otherwise with the settings of `make run`."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
from redis.asyncio import Redis

from bench import definitions
from bench.machine import Sample, Usage, sample, usage
from embedded import ServiceStatus
from kwe.local.stack import LocalStack

ROOT: Final = Path(__file__).resolve().parent.parent
DATA: Final = ROOT / ".kwe" / "bench"
"""On the disk where `make run` keeps its data, so that a commit costs what it costs there."""

_OURS: Final = ("DATABASE_", "REDIS_", "OTEL_", "APM_", "KWE_", "EXECUTOR_", "METRICS_PORT", "PORT")


@dataclass
class Running:
    """A started system, and connections to look into it."""

    stack: LocalStack
    database: asyncpg.Connection[Any]
    redis: Redis
    http: aiohttp.ClientSession
    start_seconds: dict[str, float] = field(default_factory=dict)
    """By what was started, from its start to ready."""

    @property
    def url(self) -> str:
        return self.stack.url

    @property
    def organization_id(self) -> str:
        return str(self.stack.organization_id)

    def pids(self) -> dict[str, int]:
        """Every process that belongs to the system."""
        found = {each.name: each.pid for each in self.stack.supervisor.statuses()}
        environment = self.stack.environment
        assert environment.postgres is not None
        assert environment.valkey is not None
        found["postgresql"] = environment.postgres.pid
        found["valkey"] = environment.valkey.pid
        return {name: pid for name, pid in found.items() if pid is not None}

    def sample(self) -> Sample:
        return sample(self.pids())

    def used_since(self, before: Sample) -> Usage:
        return usage(before, self.sample())

    async def register(self, document: dict[str, Any]) -> str:
        """Register a workflow; the path to start it at."""
        async with self.http.post(f"{self.url}/v1/workflows", json=document) as response:
            if response.status not in (200, 201):
                raise SystemExit(f"registering failed: {response.status} {await response.text()}")
        name = document["document"]["name"]
        return f"/v1/workflows/bench/{name}/executions"

    async def load(self, path: str, count: int, clients: int, *options: str) -> dict[str, Any]:
        """Send requests from a process of its own; what it measured."""
        argv = ("-m", "bench.load", self.url, path, str(count), str(clients), *options)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *argv,
            cwd=ROOT,
            env={**os.environ, "KWE_API_KEY": self.stack.api_key},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise SystemExit("the load generator failed")
        answer: dict[str, Any] = json.loads(output)
        return answer


@asynccontextmanager
async def running(
    name: str,
    *,
    replicas: Mapping[str, int] | None = None,
    variables: Mapping[str, str] | None = None,
) -> AsyncGenerator[Running]:
    """A new system on an empty folder, gone when the block ends."""
    folder = DATA / name
    shutil.rmtree(folder, ignore_errors=True)
    seconds: dict[str, float] = {}
    stack = LocalStack(
        folder,
        {**_environment(), **(variables or {})},
        replicas=replicas,
        progress=lambda what, took: seconds.__setitem__(what, round(took, 2)),
        notify=_StartTimes(seconds).heard,
    )
    try:
        async with stack, _connected(stack) as system:
            system.start_seconds = seconds
            yield system
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _StartTimes:
    """Notes how long each service took from its start to ready."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._began: dict[str, float] = {}

    def heard(self, status: ServiceStatus) -> None:
        if status.state == "starting":
            self._began[status.name] = time.monotonic()
        elif status.state == "ready" and status.restarts == 0:
            self._seconds[status.name] = round(time.monotonic() - self._began[status.name], 2)


def _environment() -> dict[str, str]:
    """The user's environment without what would make this another system, plus the function to call."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return {
        **kept,
        "EXECUTOR_MODULES": str(ROOT / "bench" / "noop.py"),
        "EXECUTOR_QUEUES": f"http,llm,default,{definitions.QUEUE}",
        # Two systems may run side by side, and beside one of the user's own.
        "METRICS_PORT": "19090",
    }


@asynccontextmanager
async def _connected(stack: LocalStack) -> AsyncGenerator[Running]:
    database = await asyncpg.connect(stack.environment.database_url)
    redis = Redis.from_url(stack.environment.redis_url)
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    try:
        async with aiohttp.ClientSession(headers=headers) as http:
            yield Running(stack, database, redis, http)
    finally:
        await redis.aclose()
        await database.close()
