"""What an engine must offer to be measured, and ours."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg

from bench.audit import Missing, finished
from bench.machine import Usage, sample, usage
from bench.running import ROOT, Running, running
from bench.throughput import prepare, run_once


@dataclass(frozen=True, slots=True)
class Result:
    rate: float
    usage: Usage

    def as_json(self) -> dict[str, Any]:
        return {"rate": round(self.rate, 1), **self.usage.as_json()}


class Engine(Protocol):
    name: str
    version: str
    share: float
    """Of the count of workflows of a run: slow engines need fewer for a run of the same length."""

    async def throughput(self, count: int) -> Result:
        """Raises `Missing` when something that was accepted is not there."""
        ...

    async def latency(self, count: int) -> dict[str, Any]:
        """Submit → result, one at a time: quantiles in ms."""
        ...


class Ours:
    name = "kwe"
    version = ""
    share = 1.0

    def __init__(self, system: Running, path: str, clients: int) -> None:
        self._system = system
        self._path = path
        self._clients = clients

    @property
    def database(self) -> asyncpg.Connection[Any]:
        return self._system.database

    async def throughput(self, count: int) -> Result:
        run = await run_once(self._system, self._path, count, self._clients)
        return Result(run.rate, run.usage)

    async def latency(self, count: int) -> dict[str, Any]:
        answers = await self._system.load(f"{self._path}?wait=30", count, 1)
        await finished(self._system)
        return answers


@asynccontextmanager
async def ours(clients: int = 256) -> AsyncGenerator[Ours]:
    async with running("beside-peers") as system:
        yield Ours(system, await prepare(system), clients)


class Answering:
    """An engine whose HTTP answer is the finished workflow."""

    def __init__(
        self, name: str, version: str, url: str, path: str, *, clients: int, share: float
    ) -> None:
        self.name = name
        self.version = version
        self.share = share
        self._url = url
        self._path = path
        self._clients = clients
        self.roots: Mapping[str, int] = {}

    async def throughput(self, count: int) -> Result:
        before = sample(self.roots)
        answers = await self._load(count, self._clients)
        used = usage(before, sample(self.roots))
        await self.verify(count)
        return Result(count / (answers["ended"] - answers["began"]), used)

    async def latency(self, count: int) -> dict[str, Any]:
        return await self._load(count, 1)

    async def verify(self, count: int) -> None:
        """Look where the engine keeps its executions, if there is a way; raise `Missing`."""

    async def _load(self, count: int, clients: int) -> dict[str, Any]:
        argv = ("-m", "bench.load", self._url, self._path, str(count), str(clients))
        environment = {name: value for name, value in os.environ.items() if name != "KWE_API_KEY"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv, cwd=ROOT, env=environment, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise Missing(f"the load generator failed on {self.name}")
        answers: dict[str, Any] = json.loads(output)
        if answers["failures"]:
            raise Missing(f"{self.name}: requests failed: {answers['failures']}")
        return answers
