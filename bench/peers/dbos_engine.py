"""DBOS: a library, so its workflows run in the processes that serve HTTP; state in a PostgreSQL set up like ours."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from bench.audit import Missing
from bench.peers.engines import Answering
from bench.peers.installing import HOME, python_environment
from bench.peers.processes import process, until
from embedded import EmbeddedPostgres

VERSION: Final = "3.4.0"
PORT: Final = 19181
PROCESSES: Final = 2
CLIENTS: Final = 32
"""More did not raise its throughput."""

SHARE: Final = 0.1
SERVICE: Final = Path(__file__).parent / "apps" / "dbos_service.py"


class Dbos(Answering):
    def __init__(self, database: asyncpg.Connection[Any]) -> None:
        super().__init__(
            "DBOS",
            f"dbos {VERSION}",
            f"http://127.0.0.1:{PORT}",
            "/three",
            clients=CLIENTS,
            share=SHARE,
        )
        self._database = database
        self._seen = 0

    async def note(self) -> None:
        self._seen = await self._completed()

    async def verify(self, count: int) -> None:
        seen, self._seen = self._seen, await self._completed()
        if self._seen - seen != count:
            raise Missing(f"DBOS: {self._seen - seen} workflows succeeded, expected {count}")

    async def latency(self, count: int) -> dict[str, Any]:
        answers = await super().latency(count)
        await self.note()
        return answers

    async def _completed(self) -> int:
        found: int = await self._database.fetchval(
            "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'"
        )
        return found


@asynccontextmanager
async def dbos() -> AsyncGenerator[Dbos]:
    binaries = await python_environment("dbos", f"dbos=={VERSION}", "aiohttp>=3.11")
    folder = HOME / "dbos" / "postgres"
    shutil.rmtree(folder, ignore_errors=True)
    server = EmbeddedPostgres(folder)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        await server.start()
        roots = {}
        for number in range(PROCESSES):
            # One after the other: the first creates the schema.
            argv = (str(binaries / "python"), str(SERVICE), server.dsn, str(PORT), f"e{number}")
            started = await stack.enter_async_context(process(f"dbos-{number}", *argv))
            roots[f"dbos-{number}"] = started.pid
            await until(_answers, "DBOS")
        database = await asyncpg.connect(server.dsn)
        stack.push_async_callback(database.close)
        engine = Dbos(database)
        assert server.pid is not None
        engine.roots = {**roots, "postgresql": server.pid}
        await engine.latency(50)
        yield engine


async def _answers() -> bool:
    try:
        async with aiohttp.ClientSession() as http:
            url = f"http://127.0.0.1:{PORT}/three"
            async with http.post(url, json={"input": {"n": 0}}) as response:
                return response.status == 200
    except aiohttp.ClientError:
        return False
