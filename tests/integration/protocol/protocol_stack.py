"""The whole system as processes, what tests do to it, and the books that must balance afterwards.

stack = ProtocolStack(folder, loop, ports)  # 2 orchestrators, 2 executors, a gateway, servers of its own
stack.start()
async with stack.desk() as desk:        # HTTP as a user, PostgreSQL and Redis as an auditor
    id = await desk.start(key="k")
    await desk.balanced([id])
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import orjson
import psutil
from aiohttp import ClientError, ClientSession, ClientTimeout
from protocol_workload import TASKS_WITH_EFFECTS, Ledger, definitions
from redis.asyncio import Redis
from redis.exceptions import RedisError

from common.streams import names
from kwe.local.stack import LocalStack

HERE = Path(__file__).parent
PATIENCE_S = 45
QUEUES = ("http", "effects")
FINISHED = ("completed", "faulted", "cancelled")
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    RedisError,
    ClientError,
)
"""What servers say while they are being restarted."""


@dataclass
class ProtocolStack:
    """Everything that runs, on a loop of its own that outlives the tests' loops."""

    folder: Path
    run: Callable[[Any], Any]
    """Runs a coroutine on that loop and waits for it."""

    ports: Any
    """Of our own: nobody may take the port of a process or a server that was killed."""

    settings: dict[str, str] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)

    def start(self) -> None:
        self.run(self.ledger.start())
        self.failpoints = self.folder / "failpoints"
        self.failpoints.mkdir(parents=True)
        variables = {
            **os.environ,
            "KWE_FAILPOINT": f"{self.failpoints}/",
            "EFFECTS_URL": self.ledger.url,
            "EXECUTOR_MODULES": str(HERE / "protocol_functions.py"),
            "EXECUTOR_QUEUES": ",".join(QUEUES),
            "OUTBOUND_ALLOW": "127.0.0.0/8",
            "TASK_LEASE": "3s",
            "REFRESH_INTERVAL": "500ms",
            "LOG_LEVEL": "info",
            "REPLY_TIMEOUT": "2s",
            **self.ports.keep_for_stack(self.folder / "kwe"),
            **self.settings,
        }
        replicas = {"orchestrator": 2, "executor": 2, "knowledge": 0}
        self.local = LocalStack(self.folder / "kwe", variables, replicas=replicas)
        self.run(self.local.__aenter__())

    def stop(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)  # whoever was stopped must hear that it is over
        self.run(self.local.__aexit__(None, None, None))
        self.run(self.ledger.stop())

    def pids(self, service: str = "") -> list[int]:
        """Of the processes that run now and whose name begins so."""
        return [
            status.pid
            for status in self.local.supervisor.statuses()
            if status.pid is not None and status.name.startswith(service)
        ]

    def arm(self, failpoint: str, signal_name: str = "SIGKILL") -> None:
        """The next process that comes by this place gets the signal."""
        order = self.failpoints / f".{failpoint}"
        order.write_text(signal_name)
        order.rename(self.failpoints / failpoint)

    def struck(self, failpoint: str) -> bool:
        """Whether somebody came by."""
        return not (self.failpoints / failpoint).exists()

    def logs(self) -> str:
        """For the report of a failure: the last lines of every process."""
        tails = []
        for file in sorted((self.folder / "kwe" / "logs").glob("*.log")):
            lines = file.read_text(errors="replace").splitlines()
            tails.append(f"--- {file.name}\n" + "\n".join(lines[-15:]))
        return "\n".join(tails)

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[Desk]:
        headers = {"Authorization": f"Bearer {self.local.api_key}"}
        timeout = ClientTimeout(total=15)
        redis = Redis.from_url(self.local.environment.redis_url)
        async with ClientSession(self.local.url, headers=headers, timeout=timeout) as http, redis:
            yield Desk(self, http, redis)


@dataclass
class Desk:
    """One test's connections."""

    stack: ProtocolStack
    http: ClientSession
    redis: Redis
    patience_s: float = PATIENCE_S

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        give_up_at = time.monotonic() + self.patience_s
        while True:
            with contextlib.suppress(*AWAY):
                if value := await condition():
                    return value
            if time.monotonic() > give_up_at:
                sys.stderr.write(self.stack.logs())
                raise AssertionError(f"waited in vain for {what}")
            await asyncio.sleep(0.05)

    async def register(self) -> None:
        for document in definitions(self.stack.ledger.url):
            async with self.http.post("/v1/workflows", json=document) as response:
                assert response.status in (200, 201), await response.text()

    # --- a user ---------------------------------------------------------------------------------------

    async def post_start(
        self, workflow: str, key: str, input: Any = None
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, body and headers of one request."""
        async with self.http.post(
            f"/v1/workflows/{workflow}/executions",
            json={"input": input or {}},
            headers={"Idempotency-Key": key},
        ) as response:
            body = orjson.loads(await response.read())
            return response.status, body, {k.lower(): v for k, v in response.headers.items()}

    async def start(
        self, workflow: str = "proof/all", *, key: str | None = None, input: Any = None
    ) -> str:
        """The execution, once it is accepted: repeats with the same key until then, as users are told to."""
        key = key or str(uuid4())
        give_up_at = time.monotonic() + self.patience_s
        while True:
            try:
                status, body, _ = await self.post_start(workflow, key, input)
            except AWAY:
                status, body = 503, {}
            if status == 202:
                return str(body["id"])
            assert status in (429, 503), body
            assert time.monotonic() < give_up_at, f"never accepted: {body}"
            await asyncio.sleep(0.1)

    async def load(self, count: int, *, workers: int = 8, workflow: str = "proof/all") -> list[str]:
        """So many executions, started side by side."""
        ids: list[str] = []
        left = iter(range(count))

        async def work() -> None:
            for _ in left:
                ids.append(await self.start(workflow))  # noqa: PERF401 - one after another

        await asyncio.gather(*[work() for _ in range(workers)])
        return ids

    async def invariants(self) -> dict[str, Any]:
        async with self.http.get("/v1/health/invariants") as response:
            body: dict[str, Any] = await response.json()
            return body

    # --- an auditor -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def database(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self.stack.local.environment.database_url, timeout=5)
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.database() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(query, *arguments)
            return rows

    async def statuses(self, ids: Iterable[str]) -> Counter[str]:
        query = "SELECT status FROM workflow.workflow_executions WHERE id = ANY ($1::uuid[])"
        return Counter([row["status"] for row in await self.fetch(query, list(ids))])

    async def finished(self, ids: Iterable[str]) -> Counter[str]:
        """The statuses in which they ended."""
        wanted = list(ids)

        async def all_finished() -> Counter[str] | None:
            found = await self.statuses(wanted)
            return found if sum(found[each] for each in FINISHED) == len(wanted) else None

        found: Counter[str] = await self.until(all_finished, f"{len(wanted)} executions to finish")
        return found

    async def balanced(self, ids: list[str], *, effects_max: int = 1) -> None:
        """All of them completed once, with every event public, and nothing is left over of them or of anything."""
        await self.finished(ids)
        others = await self.fetch(
            "SELECT id, status, error FROM workflow.workflow_executions "
            "WHERE id = ANY ($1::uuid[]) AND status <> 'completed'",
            ids,
        )
        assert not others, f"{len(others)} of {len(ids)} did not complete: {others[:3]}"
        children = await self.fetch(
            "SELECT id::text FROM workflow.workflow_executions WHERE parent_id = ANY ($1::uuid[])",
            ids,
        )
        everything = [*ids, *[row["id"] for row in children]]
        tasks, events = await self._read_history(everything)
        for key in tasks:
            done = self.stack.ledger.effects[key]
            assert 1 <= done <= effects_max, f"{done} effects of task {key}"
        await self._nothing_left()

        async def all_public() -> bool:
            return events <= await self.feed()

        await self.until(all_public, "every event in the organisation's feed")
        assert (await self.invariants())["orphans"] == 0

    async def _read_history(self, ids: list[str]) -> tuple[set[str], set[str]]:
        """Keys of the tasks that had effects, and ids of the public events. Gaps and repeated results are refused."""
        rows = await self.fetch(
            "SELECT h.*, e.workflow_id FROM workflow.history AS h "
            "JOIN workflow.workflow_executions AS e ON e.id = h.execution_id "
            "WHERE h.execution_id = ANY ($1::uuid[]) ORDER BY h.execution_id, h.seq_from",
            ids,
        )
        sequences: dict[str, int] = {}
        completed: dict[str, list[str]] = {}
        workflows: dict[str, str] = {}
        for row in rows:
            id, turn = str(row["execution_id"]), orjson.loads(row["events"])
            assert row["seq_from"] == sequences.get(id, 0) + 1, f"{id} has a gap"
            assert row["seq_to"] == row["seq_from"] + len(turn) - 1
            sequences[id], workflows[id] = row["seq_to"], row["workflow_id"]
            completed.setdefault(id, []).extend(
                event["taskId"]
                for event in turn
                if event["type"] == "task.completed" and "worker" in event
            )
        assert set(sequences) == set(ids)
        for id, keys in completed.items():
            assert len(keys) == len(set(keys)) == TASKS_WITH_EFFECTS[workflows[id]], (id, keys)
        events = {f"{id}/{n}" for id, last in sequences.items() for n in range(1, last + 1)}
        return {key for keys in completed.values() for key in keys}, events

    async def _nothing_left(self) -> None:
        tables = ("waits", "execution_state", "publications")
        counts = ", ".join(f"(SELECT count(*) FROM workflow.{each}) AS {each}" for each in tables)
        streams = [of(n) for of in (names.commands, names.results) for n in range(8)]
        streams += [names.tasks(queue) for queue in QUEUES]

        async def nothing() -> bool:
            (row,) = await self.fetch(f"SELECT {counts}")
            return not any(row.values()) and not any(
                [await self.redis.xlen(stream) for stream in streams]
            )

        await self.until(nothing, "all waits, states, publications and entries to be gone")

    async def feed(self) -> set[str]:
        """Ids of all events in the organisation's stream."""
        stream = names.events(str(self.stack.local.organization_id))
        return {
            event["id"]
            for _, fields in await self.redis.xrange(stream)
            for event in orjson.loads(fields[names.FIELD])
        }

    # --- trouble --------------------------------------------------------------------------------------

    async def strikes(self, failpoint: str) -> None:
        """Return when a process has come by the failpoint."""

        async def struck() -> bool:
            return self.stack.struck(failpoint)

        await self.until(struck, f"somebody to come by {failpoint}")

    def stopped(self) -> list[int]:
        """Processes that got SIGSTOP."""
        return [
            pid
            for pid in self.stack.pids()
            if psutil.pid_exists(pid) and psutil.Process(pid).status() == psutil.STATUS_STOPPED
        ]

    async def ready(self) -> None:
        """Wait until every process is there and ready."""

        async def all_ready() -> bool:
            states = [status.state for status in self.stack.local.supervisor.statuses()]
            return all(state == "ready" for state in states)

        await self.until(all_ready, "every service to be ready")

    async def started_again(self) -> None:
        """Wait until the gateway takes starts: what was away is back."""

        async def takes_starts() -> bool:
            async with self.http.get("/ready") as response:
                return response.status == 200

        await self.until(takes_starts, "the gateway to be ready")
