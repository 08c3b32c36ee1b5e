"""`pair`: a primary with a streaming replica, whose replay tests pause; `stack`: the whole system on both of them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from aiohttp import ClientSession

from embedded import EmbeddedPostgres
from embedded.binaries import postgres_programs
from kwe.local.stack import LocalStack

PATIENCE_S = 30
STREAMING = {
    "wal_level": "replica",
    "max_wal_senders": "4",
    "max_replication_slots": "4",
    "max_connections": "60",
}


@dataclass(frozen=True)
class Pair:
    primary: EmbeddedPostgres
    replica: EmbeddedPostgres

    async def pause(self) -> None:
        await self.on_replica("SELECT pg_wal_replay_pause()")

        async def paused() -> bool:
            return await self.on_replica("SELECT pg_get_wal_replay_pause_state()") == "paused"

        await eventually(paused, "replay to be paused")

    async def resume(self) -> None:
        await self.on_replica("SELECT pg_wal_replay_resume()")

    async def on_replica(self, query: str) -> Any:
        connection = await asyncpg.connect(self.replica.dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    async def caught_up(self) -> None:
        connection = await asyncpg.connect(self.primary.dsn)
        try:
            target = await connection.fetchval("SELECT pg_current_wal_lsn()::text")
        finally:
            await connection.close()

        async def there() -> bool:
            return bool(
                await self.on_replica(f"SELECT pg_last_wal_replay_lsn() >= '{target}'::pg_lsn")
            )

        await eventually(there, "the replica to catch up")


async def eventually(question: Callable[[], Awaitable[Any]], what: str) -> Any:
    give_up_at = time.monotonic() + PATIENCE_S
    while not (answer := await question()):
        assert time.monotonic() < give_up_at, f"waited in vain for {what}"
        await asyncio.sleep(0.05)
    return answer


@pytest.fixture(scope="package")
def pair(server_folder: Path, fixture_loop: Any, ports: Any) -> Iterator[Pair]:
    folder = server_folder / f"replica-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o711)
    primary = EmbeddedPostgres(ports.keep_for(folder / "primary"), settings=STREAMING)
    fixture_loop.run(primary.start())
    try:
        copied = ports.keep_for(_base_backup(primary, folder / "replica"))
        replica = EmbeddedPostgres(copied, settings=STREAMING)
        fixture_loop.run(replica.start())
        yield Pair(primary, replica)
        fixture_loop.run(replica.stop())
    finally:
        fixture_loop.run(primary.stop())


def _base_backup(primary: EmbeddedPostgres, folder: Path) -> Path:
    """A copy of the whole server that follows it from now on."""
    folder.mkdir(mode=0o711)
    shutil.copy(primary._folder / "password", folder / "password")
    subprocess.run(
        [
            str(postgres_programs() / "pg_basebackup"),
            "--write-recovery-conf",
            "--checkpoint=fast",
            f"--pgdata={folder / 'cluster'}",
            f"--dbname={primary.dsn}",
        ],
        check=True,
        env={"PATH": os.defpath, "LC_ALL": "C"},
    )
    primary._identity.own(folder / "cluster")
    return folder


@pytest.fixture(scope="package")
def stack(pair: Pair, server_folder: Path, fixture_loop: Any, ports: Any) -> Iterator[LocalStack]:
    folder = server_folder / f"replica-stack-{uuid4().hex[:8]}"
    folder.mkdir(mode=0o711)
    variables = {
        **os.environ,
        "DATABASE_URL": pair.primary.dsn,
        "DATABASE_READ_URL": pair.replica.dsn,
        **ports.keep_for_stack(folder),
    }
    local = LocalStack(folder, variables)
    fixture_loop.run(local.__aenter__())
    yield local
    fixture_loop.run(local.__aexit__(None, None, None))


@asynccontextmanager
async def _client(stack: LocalStack) -> AsyncIterator[ClientSession]:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with ClientSession(stack.url, headers=headers) as client:
        yield client


@pytest.fixture
async def client(stack: LocalStack) -> AsyncIterator[ClientSession]:
    async with _client(stack) as opened:
        yield opened


@pytest.fixture
def wait_for() -> Any:
    return eventually
