"""Orchestrators in this process, on a real database and real streams, with executors beside them.

`engine`        one orchestrator is running, and an executor with the functions of `EXAMPLES`; made for one test.
`build_engine`  nothing runs yet: `async with engine.orchestrator(queue_window=10), engine.executor(): ...`

What the orchestrator promises is asked of PostgreSQL, what it publishes is read from the streams.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from pydantic import SecretStr

from common.contracts.administration import RegisterWorkflow
from common.contracts.arrivals import PublishEvents
from common.contracts.base import PayloadReference, Request, encode
from common.contracts.executions import (
    CancelExecution,
    ResumeExecution,
    StartExecution,
    SuspendExecution,
)
from common.contracts.replies import Reply
from common.ids import partition_of, uuid7
from common.serving.failures import FunctionError
from common.serving.server import TaskServer
from common.serving.store import PayloadStore
from common.settings import OrchestratorSettings
from common.settings.groups import LeaseSettings
from common.streams import names
from common.streams.connection import Link
from common.streams.consumer import ensure_groups
from common.streams.publisher import Outgoing, Publisher
from common.streams.requests import Requester
from orchestrator.app import Orchestrator, orchestrator

PATIENCE_S = 30
PARTITIONS = 8
QUEUE = "work"
LEASE = {"task_lease": timedelta(seconds=1.2), "refresh_interval": timedelta(seconds=0.2)}
GENERATION = "of-the-tests"
FINISHED = ("completed", "faulted", "cancelled")
CONTROLS = {"cancel": CancelExecution, "suspend": SuspendExecution, "resume": ResumeExecution}


@dataclass
class Functions:
    """What executors can do here, and what they did."""

    runs: Counter[str] = field(default_factory=Counter)
    """By task id: how often it was begun."""

    gates: dict[str, asyncio.Event] = field(default_factory=dict)

    def gate(self, name: str) -> asyncio.Event:
        return self.gates.setdefault(name, asyncio.Event())

    async def echo(self, data: Any, context: Any) -> Any:
        self.runs[str(context.task_id)] += 1
        return data

    async def wait(self, data: Any, context: Any) -> Any:
        """Goes on when the test opens the gate that the input names."""
        self.runs[str(context.task_id)] += 1
        await self.gate(data["gate"]).wait()
        return data

    async def fail(self, data: Any, context: Any) -> Any:
        self.runs[str(context.task_id)] += 1
        raise FunctionError("always", status=503)

    def table(self) -> dict[str, Any]:
        return {
            "echo:1.0.0": self.echo,
            "wait:1.0.0": self.wait,
            "fail:1.0.0": self.fail,
            "once:1.0.0": self.wait,
        }


@dataclass
class Engine:
    database_url: str
    redis_url: str
    pool: Any
    organization: UUID = field(default_factory=uuid7)
    functions: Functions = field(default_factory=Functions)

    def __post_init__(self) -> None:
        self.link = Link(self.redis_url)
        self._writer, self._replies = Link(self.redis_url), Link(self.redis_url, timeout_s=10)
        self.publisher = Publisher(self._writer)
        self.requester = Requester(self.publisher, self._replies, instance=str(uuid7()))

    async def close(self) -> None:
        for link in (self.link, self._writer, self._replies):
            await link.close()

    async def prepare(self) -> None:
        """An installation that has run before: what is seen first is no loss of Redis."""
        await self.add_organization(self.organization)
        for name in ("echo", "wait", "fail", "once"):
            await self.pool.execute(
                "INSERT INTO workflow.functions (name, version, queue, at_most_once) VALUES ($1, '1.0.0', $2, $3)",
                name,
                QUEUE,
                name == "once",
            )
        await self.pool.execute(
            "UPDATE workflow.installation SET redis_generation = $1", GENERATION
        )
        await self.link.call(b"SET", names.GENERATION_KEY, GENERATION)
        streams = [of(each) for of in (names.results, names.commands) for each in range(PARTITIONS)]
        await ensure_groups(self.link, streams, names.ORCHESTRATOR_GROUP)

    async def add_organization(self, id: UUID, *, concurrent: int = 0) -> UUID:
        await self.pool.execute(
            "INSERT INTO workflow.organizations (id, name, max_concurrent_executions) VALUES ($1, $2, $3)",
            id,
            str(id),
            concurrent,
        )
        return id

    # --- what runs ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def orchestrator(self, **settings: Any) -> AsyncIterator[Orchestrator]:
        given = {
            "database_url": SecretStr(self.database_url),
            "redis_url": SecretStr(self.redis_url),
            "database_pool_max": 6,
            **LEASE,
            **settings,
        }
        async with orchestrator(OrchestratorSettings.model_validate(given)) as service:
            yield service

    @asynccontextmanager
    async def executor(self, *, slots: int = 16, drain_s: float = 5) -> AsyncIterator[TaskServer]:
        server = TaskServer(
            queues=[QUEUE],
            slots=slots,
            functions=self.functions.table(),
            redis_url=self.redis_url,
            instance=str(uuid7()),
            publisher=self.publisher,
            requester=self.requester,
            store=PayloadStore(self.pool),
            lease=LeaseSettings(**LEASE),
        )
        async with server.running(drain_s=drain_s):
            yield server

    # --- asking ---------------------------------------------------------------------------------------

    async def ask(self, request: Request, stream: str, *, timeout_s: float = 15) -> Reply:
        return await self.requester.ask(request, stream, timeout_s=timeout_s)

    async def register_directly(self, name: str, do: list[dict[str, Any]]) -> str:
        """Register before any orchestrator runs."""
        header = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": "1.0.0"}
        await self.pool.execute(
            "INSERT INTO workflow.workflows (organization_id, id, version, namespace, name, semver, config, fingerprint) "
            "VALUES ($1, $2, 1, 'tests', $3, '1.0.0', $4, '')",
            self.organization,
            f"tests/{name}",
            name,
            orjson.dumps({"document": header, "do": do}).decode(),
        )
        return f"tests/{name}"

    async def register(
        self,
        name: str,
        do: list[dict[str, Any]],
        *,
        organization: UUID | None = None,
        **parts: Any,
    ) -> str:
        """Register `tests/NAME` 1.0.0; its id."""
        header = {"dsl": "1.0.3", "namespace": "tests", "name": name, "version": "1.0.0"}
        owner = organization or self.organization
        command = RegisterWorkflow(
            organization_id=owner,
            namespace="tests",
            name=name,
            semver="1.0.0",
            config={"document": header, **parts, "do": do},
            fingerprint=name,
        )
        reply = await self.ask(command, names.commands(partition_of(owner, PARTITIONS)))
        assert reply.status == 201, reply
        return f"tests/{name}"

    def start_of(
        self, workflow: str, input: Any = None, *, key: str | None = None, **more: Any
    ) -> StartExecution:
        fields = {
            "organization_id": self.organization,
            "execution_id": uuid7(),
            "workflow_id": workflow,
            "input": {} if input is None else input,
            "idempotency_key": key or str(uuid7()),
            "fingerprint": "f",
            **more,
        }
        return StartExecution.model_validate(fields)

    async def ask_start(self, request: StartExecution) -> Reply:
        return await self.ask(request, names.commands(partition_of(request.execution_id, 8)))

    async def start(self, workflow: str, input: Any = None, **more: Any) -> UUID:
        """An execution that was accepted."""
        reply = await self.ask_start(self.start_of(workflow, input, **more))
        assert reply.status == 202, reply
        return UUID(reply.body["id"])

    async def start_nowait(self, workflow: str, input: Any = None) -> UUID:
        """Send a start without waiting for its acceptance."""
        request = self.start_of(workflow, input)
        stream = names.commands(partition_of(request.execution_id, PARTITIONS))
        await self.publisher.publish([Outgoing(stream, encode(request))])
        return request.execution_id

    async def store_input(self, execution_id: UUID, raw: bytes) -> PayloadReference:
        """A body stored before the start that names it, as the gateway does."""
        store = PayloadStore(self.pool)
        return await store.save(self.organization, execution_id, raw)

    async def publish(self, *events: dict[str, Any], organization: UUID | None = None) -> Reply:
        """Events that were kept; each gets an id of its own unless it has one."""
        whole = [
            {"specversion": "1.0", "id": str(uuid7()), "source": "/tests", **event}
            for event in events
        ]
        owner = organization or self.organization
        command = PublishEvents(organization_id=owner, events=whole)
        return await self.ask(command, names.commands(partition_of(owner, PARTITIONS)))

    async def control(self, action: str, id: UUID, *, organization: UUID | None = None) -> Reply:
        message = CONTROLS[action](
            organization_id=organization or self.organization, execution_id=id, reason="a test"
        )
        return await self.ask(message, names.results(partition_of(id, PARTITIONS)))

    # --- looking --------------------------------------------------------------------------------------

    async def until(self, condition: Callable[[], Awaitable[Any]], what: str) -> Any:
        give_up_at = time.monotonic() + PATIENCE_S
        while not (value := await condition()):
            assert time.monotonic() < give_up_at, f"waited in vain for {what}"
            await asyncio.sleep(0.02)
        return value

    async def row(self, id: UUID) -> asyncpg.Record:
        query = "SELECT * FROM workflow.workflow_executions WHERE id = $1"
        return await self.pool.fetchrow(query, id)

    async def status(self, id: UUID) -> str:
        return str((await self.row(id))["status"])

    async def becomes(self, id: UUID, *statuses: str) -> asyncpg.Record:
        """The row of an execution once it has one of these statuses."""

        async def there() -> asyncpg.Record | None:
            row = await self.row(id)
            return row if row is not None and row["status"] in statuses else None

        return await self.until(there, f"{id} to be {' or '.join(statuses)}")

    async def outcome_of_new(self, id: UUID, *, status: str = "completed") -> Any:
        """The outcome of an execution that may not even be accepted yet."""

        async def accepted() -> Any:
            return await self.row(id)

        await self.until(accepted, f"{id} to be accepted")
        return await self.outcome(id, status=status)

    async def outcome(self, id: UUID, *, status: str = "completed") -> Any:
        """Output of a completed execution, error of one that ended otherwise."""
        row = await self.becomes(id, *FINISHED)
        assert row["status"] == status, (row["status"], row["error"])
        text = row["output_payload"] if status == "completed" else row["error"]
        return None if text is None else orjson.loads(text)

    async def waits(self, id: UUID, kind: str | None = None) -> list[asyncpg.Record]:
        query = "SELECT * FROM workflow.waits WHERE execution_id = $1 AND ($2::text IS NULL OR kind = $2)"
        return await self.pool.fetch(query, id, kind)

    async def waits_for(self, id: UUID, kind: str, count: int = 1) -> list[asyncpg.Record]:
        async def there() -> list[asyncpg.Record] | None:
            found = await self.waits(id, kind)
            return found if len(found) == count else None

        return await self.until(there, f"{id} to wait for {count} {kind}")

    async def history(self, id: UUID) -> list[dict[str, Any]]:
        """All events, with their sequence checked to be gapless."""
        query = "SELECT * FROM workflow.history WHERE execution_id = $1 ORDER BY seq_from"
        events: list[dict[str, Any]] = []
        for row in await self.pool.fetch(query, id):
            turn = orjson.loads(row["events"])
            assert row["seq_from"] == len(events) + 1, f"{id} has a gap before {row['seq_from']}"
            assert row["seq_to"] == row["seq_from"] + len(turn) - 1
            events += turn
        return events

    async def feed(self, organization: UUID | None = None) -> set[str]:
        """Ids of the public events in the organisation's stream."""
        stream = names.events(organization or self.organization)
        entries = await self.link.call(b"XRANGE", stream, b"-", b"+")
        return {event["id"] for _, fields in entries for event in orjson.loads(fields[1])}

    async def nothing_left(self) -> None:
        """Wait until no wait, state or publication is left, and no entry in any stream."""

        async def gone() -> bool:
            counts = [
                await self.pool.fetchval(f"SELECT count(*) FROM workflow.{table}")
                for table in ("waits", "execution_state", "publications")
            ]
            streams = [
                of(each) for of in (names.results, names.commands) for each in range(PARTITIONS)
            ]
            streams.append(names.tasks(QUEUE))
            lengths = await self.link.pipeline([(b"XLEN", stream) for stream in streams])
            return not any([*counts, *lengths])

        await self.until(gone, "nothing to be left over")


@pytest.fixture
async def build_engine(database: str, redis_url: str) -> AsyncIterator[Engine]:
    pool = await asyncpg.create_pool(database, min_size=1, max_size=4)
    built = Engine(database, redis_url, pool)
    await built.prepare()
    async with built.requester.running():
        yield built
    await built.close()
    await pool.close()


@pytest.fixture
async def engine(build_engine: Engine) -> AsyncIterator[Engine]:
    async with build_engine.orchestrator(), build_engine.executor(drain_s=0.2):
        yield build_engine


@pytest.fixture
def call() -> Callable[..., dict[str, Any]]:
    """A task that calls one of the functions here: `call("echo", n=1)`."""

    def task(function: str, **arguments: Any) -> Mapping[str, Any]:
        return {"call": f"{function}:1.0.0@default", "with": arguments or {"data": "${ . }"}}

    return task
