"""The whole system as processes, taken back to its backup beside a Redis that went on; and once more while it runs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from redis import Redis

from common.streams.names import GENERATION_KEY, RESTORED
from embedded.ports import free_port
from kwe.client import Client
from kwe.errors import NotFound
from kwe.local.stack import LocalStack

PATIENCE_S = 40
INSTALLATION = "workflow.installation SET redis_generation"
GENERATION = "SELECT redis_generation FROM workflow.installation"
HERE = Path(__file__).parent
REPLICAS = {"orchestrator": 2, "executor": 1, "knowledge": 0}
DEFINITION = {
    "document": {"dsl": "1.0.3", "namespace": "tests", "name": "held", "version": "1.0.0"},
    "do": [
        {"first": {"call": "held:1.0.0@default", "with": {"gate": "${ .gate }"}}},
        {"second": {"call": "held:1.0.0@default", "with": {"gate": "always"}}},
    ],
}


@dataclass
class System:
    folder: Path
    database_url: str
    redis_url: str
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def gates(self) -> Path:
        return self.folder / "gates"

    def open_gate(self, name: str) -> None:
        (self.gates / name).touch()

    def runs(self) -> list[str]:
        file = self.gates / "runs"
        return file.read_text().split() if file.exists() else []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Client]:
        variables = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "EXECUTOR_MODULES": str(HERE / "held_function.py"),
            "EXECUTOR_QUEUES": "held",
            "GATES": str(self.gates),
            "TASK_LEASE": "3s",
            "REFRESH_INTERVAL": "500ms",
            "SHUTDOWN_GRACE": "1s",
            "PORT": str(free_port(24_000)),
            "METRICS_PORT": "24100",
        }
        async with (
            LocalStack(self.folder / "kwe", variables, replicas=REPLICAS) as stack,
            Client(stack.url, stack.api_key, patience=20) as client,
        ):
            yield client


async def until(question: Callable[[], Any], what: str) -> None:
    give_up_at = time.monotonic() + PATIENCE_S
    while not question():
        assert time.monotonic() < give_up_at, f"waited in vain for {what}"
        await asyncio.sleep(0.05)


@pytest.fixture
def system(server_folder: Path, bare_database: str, redis_url: str, tmp_path: Path) -> System:
    made = System(tmp_path, bare_database, redis_url)
    made.gates.mkdir()
    made.open_gate("always")
    return made


async def live(system: System, back_up: Callable[[], Any]) -> None:
    """Begin two executions, back up, end one of them, begin and end a third, and leave a fourth unfinished."""
    async with system.running() as client:
        await client.apply(DEFINITION)
        for name in ("one", "two"):
            system.ids[name] = (await client.start("tests/held", {"gate": name})).id
        await until(lambda: len(system.runs()) == 2, "both to run")
        await asyncio.to_thread(back_up)
        system.open_gate("one")
        assert (await client.wait(system.ids["one"], timeout=PATIENCE_S)).status == "completed"
        system.ids["lost"] = (await client.start("tests/held", {"gate": "always"})).id
        await client.wait(system.ids["lost"], timeout=PATIENCE_S)
        system.ids["open"] = (await client.start("tests/held", {"gate": "never"})).id
        await until(lambda: len(system.runs()) == 6, "the fourth to run")


async def go_on(system: System, outlive: Callable[[], Any]) -> None:
    async with system.running() as client:
        for name in ("lost", "open"):
            with pytest.raises(NotFound):
                await client.get(system.ids[name])
        system.open_gate("two")
        for name in ("one", "two"):
            ended = await client.wait(system.ids[name], timeout=PATIENCE_S)
            assert ended.status == "completed", ended.error
        assert (await client.invariants())["orphans"] == 0
        # Here somebody takes the database back while services run: they end, and are started again.
        await asyncio.to_thread(outlive)
        started = await client.start("tests/held", {"gate": "always"})
        assert (await client.wait(started.id, timeout=PATIENCE_S)).status == "completed"


def outlive(system: System) -> None:
    """Leave the mark of a restore under running orchestrators; return when one has dealt with it."""

    async def work() -> None:
        connection = await asyncpg.connect(system.database_url)
        try:
            await connection.execute(f"UPDATE {INSTALLATION} = '{RESTORED}fresh'")
            give_up_at = time.monotonic() + PATIENCE_S
            while await connection.fetchval(GENERATION) != "fresh":
                assert time.monotonic() < give_up_at, "nobody dealt with the mark"
                await asyncio.sleep(0.1)
        finally:
            await connection.close()

    asyncio.run(work())


def test_services_go_on_from_the_backup_whatever_redis_holds(
    kwe: Any,
    system: System,
    fixture_loop: Any,
    monkeypatch: Any,
    tmp_path: Path,
) -> None:
    backups = tmp_path / "backups"

    def back_up() -> None:
        said = kwe(system.database_url, "backup", "--to", backups)
        assert said.code == 0, said.err

    # On the loop whose thread lasts: processes end with the thread that started them.
    fixture_loop.run(live(system, back_up))
    before = len(system.runs())

    monkeypatch.setenv("REDIS_URL", system.redis_url)
    said = kwe(system.database_url, "restore", backups, "--replace", "-o", "json")
    assert said.code == 0, said.err
    assert said.json["redisTold"]

    fixture_loop.run(go_on(system, lambda: outlive(system)))
    # The first task of each ran again, and the second of each; nothing of the time that is undone. Then two more.
    assert len(system.runs()) - before == 4 + 2
    with Redis.from_url(system.redis_url) as redis:
        assert redis.get(GENERATION_KEY) == b"fresh"
