"""A gateway on a real database and real streams, and owners that speak the real contracts.

`gateway`  a running gateway with a client of the organisation `acme`; `.client_for(scopes)` makes others.
`owners`   answers what the gateway sends, as orchestrator and knowledge service would, and keeps what it was asked.
`rows`     writes what those services would have written.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import pytest
from aiohttp import ClientRequest, ClientResponse, ClientSession, ClientTimeout
from pydantic import SecretStr, TypeAdapter
from redis.asyncio import Redis

from common.contracts.administration import (
    CreateApiKey,
    CreateOrganization,
    RegisterWorkflow,
    RevokeApiKey,
)
from common.contracts.base import Message, Request, encode
from common.contracts.executions import CancelExecution, ResumeExecution, StartExecution
from common.contracts.knowledge import AddDocuments, Search
from common.contracts.replies import Reply
from common.contracts.wire import decode_for_orchestrator, decode_task
from common.ids import uuid7
from common.security import Scope, new_api_key
from common.settings import GatewaySettings
from common.streams import names
from gateway.app import gateway_service
from gateway.models.common import Problem
from gateway.routes.documentation import every_route
from workflow.core.history import ExecutionFacts, to_cloud_event

PATIENCE_SECONDS = 20
PARTITIONS = 8
JWT_SECRET = "a-secret-that-is-long-enough-for-hs256"
Answer = Callable[[Any], Awaitable[Reply | None]]


async def eventually(question: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Wait for a fact; fail when it does not come true in time."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (answer := await question()):
        assert time.monotonic() < give_up_at, f"never came true: {what}"
        await asyncio.sleep(0.02)
    return answer


@dataclass
class Rows:
    """What the owners of the tables would have written."""

    connection: asyncpg.Connection
    organization_id: UUID

    async def organization(self, name: str, organization_id: UUID) -> None:
        await self.connection.execute(
            "INSERT INTO workflow.organizations (id, name) VALUES ($1, $2)", organization_id, name
        )

    async def api_key(self, scopes: list[str], *, organization_id: UUID | None = None) -> str:
        key = new_api_key(uuid7())
        await self.connection.execute(
            "INSERT INTO workflow.api_keys (id, organization_id, hash, scopes) VALUES ($1, $2, $3, $4)",
            key.id,
            organization_id or self.organization_id,
            bytes.fromhex(key.hash),
            scopes,
        )
        return key.text

    async def workflow(self, id: str, semver: str = "1.0.0", version: int = 1) -> None:
        namespace, name = id.split("/")
        await self.connection.execute(
            "INSERT INTO workflow.workflows (organization_id, id, version, namespace, name, semver, config, fingerprint) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            self.organization_id,
            id,
            version,
            namespace,
            name,
            semver,
            orjson.dumps(definition(namespace, name, semver)).decode(),
            f"{version:064x}",
        )

    async def execution(
        self,
        *,
        id: UUID | None = None,
        organization_id: UUID | None = None,
        status: str = "running",
        workflow: str = "support/refunds",
        output: Any = None,
        labels: Mapping[str, str] | None = None,
        age_s: float = 0,
    ) -> UUID:
        at_ms = int((time.time() - age_s) * 1000)
        execution_id = id or uuid7(at_ms=at_ms)
        finished = status in {"completed", "faulted", "cancelled"}
        await self.connection.execute(
            "INSERT INTO workflow.workflow_executions (id, organization_id, workflow_id, workflow_version, semver, status, "
            "input_payload, output_payload, labels, created_at, updated_at, started_at, finished_at) "
            "VALUES ($1, $2, $3, 1, '1.0.0', $4, '{}', $5, $6, $7::timestamptz, $7, $7, CASE WHEN $8 THEN $7 END)",
            execution_id,
            organization_id or self.organization_id,
            workflow,
            status,
            orjson.dumps(output).decode() if finished else None,
            orjson.dumps(dict(labels or {})).decode(),
            await self.connection.fetchval("SELECT to_timestamp($1 / 1000.0)", at_ms),
            finished,
        )
        return execution_id

    async def finish(self, execution_id: UUID, output: Any) -> None:
        await self.connection.execute(
            "UPDATE workflow.workflow_executions SET status = 'completed', output_payload = $2, finished_at = now(), "
            "updated_at = now() WHERE id = $1",
            execution_id,
            orjson.dumps(output).decode(),
        )

    async def turn(self, execution_id: UUID, sequence_from: int, *events: dict[str, Any]) -> None:
        await self.connection.execute(
            "INSERT INTO workflow.history (execution_id, seq_from, seq_to, organization_id, at, events) "
            "VALUES ($1, $2, $3, $4, now(), $5)",
            execution_id,
            sequence_from,
            sequence_from + len(events) - 1,
            self.organization_id,
            orjson.dumps(events),
        )

    async def wait(self, execution_id: UUID, key: str, kind: str, **columns: Any) -> None:
        columns = {"reference": "/do/0/find", **columns}
        texts = "".join(f", {name}" for name in columns)
        values = "".join(f", ${i}" for i in range(5, 5 + len(columns)))
        await self.connection.execute(
            "INSERT INTO workflow.waits (execution_id, key, kind, organization_id, partition, opened_at"
            f"{texts}) VALUES ($1, $2, $3, $4, 0, now(){values})",
            execution_id,
            key,
            kind,
            self.organization_id,
            *columns.values(),
        )


@dataclass
class Owners:
    """Reads every stream that the gateway writes to, and answers by the type of the message."""

    redis: Redis
    rows: Rows
    asked: list[Message] = field(default_factory=list)
    answers: dict[type, Answer] = field(default_factory=dict)

    def answer(self, kind: type[Request], handler: Answer) -> None:
        self.answers[kind] = handler

    def asked_for(self, kind: type) -> list[Any]:
        return [message for message in self.asked if isinstance(message, kind)]

    async def say_healthy(self) -> None:
        await self.redis.set(names.DATABASE_DOWN_KEY, "ok", px=60_000)
        await self.redis.set(names.GENERATION_KEY, "g1", nx=True)

    async def publish(self, execution_id: UUID, sequence_from: int, *events: dict[str, Any]) -> str:
        facts = ExecutionFacts(
            str(execution_id), str(self.rows.organization_id), "support", "refunds", "1.0.0"
        )
        batch = [
            to_cloud_event(event, facts, number)
            for number, event in enumerate(events, start=sequence_from)
        ]
        stream = names.events(self.rows.organization_id)
        entry_id: Any = await self.redis.xadd(stream, {names.FIELD: orjson.dumps(batch)})
        return str(entry_id.decode())

    async def run(self) -> None:
        orchestrator = [names.commands(p) for p in range(PARTITIONS)]
        orchestrator += [names.results(p) for p in range(PARTITIONS)]
        knowledge = [names.tasks("knowledge.search"), names.tasks("knowledge.ingest")]
        last: dict[Any, Any] = dict.fromkeys([*orchestrator, *knowledge], "0-0")
        while True:
            read: Any = await self.redis.xread(last, block=1000, count=100)
            for stream, entries in read or []:
                name = stream.decode()
                for entry_id, fields in entries:
                    last[name] = entry_id.decode()
                    decode = decode_task if name in knowledge else decode_for_orchestrator
                    await self._answer(decode(fields[names.FIELD]))

    async def _answer(self, message: Any) -> None:
        self.asked.append(message)
        handler = self.answers.get(type(message))
        reply = await handler(message) if handler else reply_to(message, 200, {"id": "x"})
        if reply is not None and message.reply_to:
            await self.redis.xadd(message.reply_to, {names.FIELD: encode(reply)})


def reply_to(message: Request, status: int, body: Any = None, **more: Any) -> Reply:
    return Reply(
        organization_id=message.organization_id,
        request_id=message.message_id,
        status=status,
        body=body,
        **more,
    )


def definition(
    namespace: str = "support", name: str = "refunds", version: str = "1.0.0"
) -> dict[str, Any]:
    return {
        "document": {"dsl": "1.0.3", "namespace": namespace, "name": name, "version": version},
        "do": [{"answer": {"set": {"text": "yes"}}}],
    }


ROUTES = [
    (route, re.compile(re.sub(r"{\w+}", "[^/]+", route.path)))
    for route in sorted(every_route(), key=lambda route: route.path.count("{"))
]


async def hold_to_description(request: ClientRequest, handler: Any) -> ClientResponse:
    """Every JSON answer that a test gets must be what the OpenAPI document says."""
    response: ClientResponse = await handler(request)
    route = next(
        (
            route
            for route, pattern in ROUTES
            if route.method == request.method and pattern.fullmatch(request.url.path)
        ),
        None,
    )
    if response.content_type == "application/problem+json":
        TypeAdapter(Problem).validate_json(await response.read())
    elif response.content_type == "application/json" and route is not None:
        described = route.answers[response.status]
        assert described.model is not None
        TypeAdapter(described.model).validate_json(await response.read())
    return response


@dataclass
class RunningGateway:
    url: str
    rows: Rows
    client: ClientSession
    _stack: AsyncExitStack

    async def client_for(
        self, *scopes: Scope, organization_id: UUID | None = None
    ) -> ClientSession:
        key = await self.rows.api_key(list(scopes), organization_id=organization_id)
        return await self.client_with({"Authorization": f"Bearer {key}"})

    async def client_with(self, headers: Mapping[str, str]) -> ClientSession:
        session = ClientSession(
            self.url,
            headers=headers,
            timeout=ClientTimeout(total=PATIENCE_SECONDS),
            middlewares=(hold_to_description,),
        )
        return await self._stack.enter_async_context(session)


@pytest.fixture
async def rows(database: str) -> AsyncIterator[Rows]:
    connection = await asyncpg.connect(database)
    made = Rows(connection, uuid7())
    await made.organization("acme", made.organization_id)
    yield made
    await connection.close()


@pytest.fixture
async def owners(redis_url: str, rows: Rows) -> AsyncIterator[Owners]:
    async with Redis.from_url(redis_url) as redis:
        owners = Owners(redis, rows)
        await owners.say_healthy()

        async def accept(message: StartExecution) -> Reply:
            await rows.execution(id=message.execution_id, workflow=message.workflow_id)
            body = {"id": str(message.execution_id), "status": "running", "replayed": False}
            return reply_to(message, 202, body)

        async def register(message: RegisterWorkflow) -> Reply:
            return reply_to(message, 201, {"version": 1})

        async def control(message: CancelExecution | ResumeExecution) -> Reply:
            body = {"id": str(message.execution_id), "status": "cancelled"}
            return reply_to(message, 202, body)

        async def search(message: Search) -> Reply:
            hit = {"id": "a", "text": "Refunds", "score": 1.5, "start": 0, "end": 7}
            return reply_to(message, 200, {"hits": [hit]})

        async def add(message: AddDocuments) -> Reply:
            documents = [
                {"id": each.get("id", "x"), "status": "pending"} for each in message.documents
            ]
            return reply_to(message, 202, {"documents": documents})

        async def created(message: CreateOrganization | CreateApiKey) -> Reply:
            return reply_to(message, 201)

        async def revoked(message: RevokeApiKey) -> Reply:
            return reply_to(message, 204)

        owners.answer(AddDocuments, add)
        owners.answer(CreateOrganization, created)
        owners.answer(CreateApiKey, created)
        owners.answer(RevokeApiKey, revoked)
        owners.answer(StartExecution, accept)
        owners.answer(RegisterWorkflow, register)
        owners.answer(CancelExecution, control)
        owners.answer(ResumeExecution, control)
        owners.answer(Search, search)
        task = asyncio.create_task(owners.run())
        yield owners
        task.cancel()


@asynccontextmanager
async def gateway_of(
    database: str, redis_url: str, rows: Rows, **settings: Any
) -> AsyncIterator[RunningGateway]:
    given = {
        "database_url": SecretStr(database),
        "redis_url": SecretStr(redis_url),
        "jwt_secret": SecretStr(JWT_SECRET),
        "host": "127.0.0.1",
        "port": 0,
        "metrics_port": 0,
        "database_pool_max": 4,
        **settings,
    }
    async with (
        gateway_service(GatewaySettings.model_validate(given)) as runner,
        AsyncExitStack() as stack,
    ):
        host, port = runner.addresses[0][:2]
        running = RunningGateway(f"http://{host}:{port}", rows, None, stack)  # type: ignore[arg-type]
        running.client = await running.client_for(Scope.ADMIN)
        yield running


@pytest.fixture
def start_gateway(database: str, redis_url: str, rows: Rows, owners: Owners) -> Callable[..., Any]:
    """Start one with settings of the test's own: `async with start_gateway(rate_limit_max_requests=3) as gateway`."""

    def start(**settings: Any) -> Any:
        given = {"database_url": database, "redis_url": redis_url, **settings}
        return gateway_of(given.pop("database_url"), given.pop("redis_url"), rows, **given)

    return start


@pytest.fixture
async def gateway(start_gateway: Callable[..., Any]) -> AsyncIterator[RunningGateway]:
    async with start_gateway() as running:
        yield running


@pytest.fixture
def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.fixture
def tools(database: str) -> Any:
    """Functions of this module for tests, which cannot import it."""
    from types import SimpleNamespace

    return SimpleNamespace(
        database=database,
        eventually=eventually,
        reply_to=reply_to,
        definition=definition,
        jwt_secret=JWT_SECRET,
    )
