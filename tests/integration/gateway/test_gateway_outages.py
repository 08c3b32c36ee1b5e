"""What goes away comes back: nothing is lost, and what does not need it goes on."""

import asyncio
import time
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientSession

from common.migrations import migrate
from common.security import Scope
from embedded import EmbeddedPostgres, EmbeddedValkey

START = "/v1/workflows/support/refunds/executions"


async def status_of(request: Any) -> int:
    async with request as answer:
        await answer.read()
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) >= 1
        return int(answer.status)


async def test_while_redis_is_away_reads_go_on_and_starts_are_refused_at_once(
    start_gateway: Any, rows: Any, tools: Any, tmp_path: Path, ports: Any
) -> None:
    valkey = EmbeddedValkey(ports.keep_for(tmp_path / "valkey"))
    await valkey.start()
    id = await rows.execution(status="completed")
    async with start_gateway(
        redis_url=valkey.url, rate_limit_max_requests=1000, reply_timeout="2s"
    ) as gateway:
        await valkey.stop()

        async def refused() -> bool:
            async with gateway.client.post(START, json={}) as answer:
                return bool((await answer.json())["code"] == "streams_unavailable")

        await tools.eventually(refused, "starts are refused because Redis is away")
        began = time.monotonic()
        async with gateway.client.post(START, json={}) as answer:
            assert (await answer.json())["code"] == "streams_unavailable"
        # The rate limiter has fallen back to this process, and nothing waits for Redis.
        assert await status_of(gateway.client.get(f"/v1/executions/{id}")) == 200
        assert await status_of(gateway.client.get("/v1/events")) == 200
        assert time.monotonic() - began < 1
        headers = {"Accept": "text/event-stream"}
        assert await status_of(gateway.client.get("/v1/events", headers=headers)) == 503
        await valkey.start()
        await tools.eventually(
            lambda: _is(gateway.client.get("/v1/events", headers=headers), 200), "streams are back"
        )
    await valkey.stop()


async def _is(request: Any, status: int) -> bool:
    async with request as answer:
        return bool(answer.status == status)


async def test_an_open_stream_outlives_redis(
    start_gateway: Any, rows: Any, tmp_path: Path, now_ms: int, ports: Any
) -> None:
    valkey = EmbeddedValkey(ports.keep_for(tmp_path / "valkey"))
    await valkey.start()
    id = await rows.execution()
    await rows.turn(id, 1, {"type": "workflow.started", "at": now_ms})
    async with (
        start_gateway(redis_url=valkey.url) as gateway,
        gateway.client.get(f"/v1/executions/{id}/events") as stream,
    ):
        await stream.content.readuntil(b"id: 1\n")
        await valkey.stop()
        await rows.turn(id, 2, {"type": "workflow.completed", "at": now_ms, "output": 1})
        await valkey.start()
        # Nobody published the end: that Redis is back is reason enough to look.
        async with asyncio.timeout(15):
            rest = await stream.content.read()
        assert b"id: 2\n" in rest
    await valkey.stop()


async def test_while_postgresql_is_away_503_at_once_and_then_all_is_well(
    start_gateway: Any, rows: Any, tools: Any, tmp_path: Path, ports: Any
) -> None:
    folder = tmp_path / "pg"
    postgres = EmbeddedPostgres(ports.keep_for(folder))
    try:
        await postgres.start()
    except PermissionError:
        pytest.skip("PostgreSQL cannot run below this temporary folder here")
    await migrate(postgres.dsn)
    connection = await asyncpg.connect(postgres.dsn)
    rows.connection = connection
    await rows.organization("acme", rows.organization_id)
    async with start_gateway(database_url=postgres.dsn) as gateway:
        assert await status_of(gateway.client.get("/v1/executions")) == 200
        await connection.close()
        await postgres.stop()
        assert await status_of(gateway.client.get("/v1/executions")) == 503
        began = time.monotonic()
        for _ in range(20):
            assert await status_of(gateway.client.get("/v1/executions")) == 503
        assert time.monotonic() - began < 3
        async with gateway.client.get("/ready") as answer:
            assert answer.status == 503
        assert await status_of(gateway.client.get("/health")) == 200
        await postgres.start()

        async def reads() -> bool:
            return await status_of(gateway.client.get("/v1/executions")) == 200

        await tools.eventually(reads, "reads are back")
    await postgres.stop()
    # The fixture closes its connection once more.
    rows.connection = await asyncpg.connect(tools.database)


async def test_draining_ends_streams_so_that_clients_resume_elsewhere(
    start_gateway: Any, rows: Any
) -> None:
    id, key = await rows.execution(), await rows.api_key(["executions:read", "events:read"])
    headers = {"X-API-Key": key, "Accept": "text/event-stream"}
    async with ClientSession(headers=headers) as client:
        async with start_gateway() as gateway:
            one = await client.get(f"{gateway.url}/v1/executions/{id}/events")
            all = await client.get(f"{gateway.url}/v1/events")
            await one.content.readuntil(b"\n\n")
            began = time.monotonic()
        assert time.monotonic() - began < 5
        for stream in (one, all):
            await stream.content.read()
            assert stream.content.at_eof()


async def test_young_and_missing_ids_are_read_from_the_primary(
    start_gateway: Any, rows: Any, bare_database: str
) -> None:
    await migrate(bare_database)
    young = await rows.execution(status="completed", output="primary")
    old = await rows.execution(status="completed", output="primary", age_s=3600)
    missing = await rows.execution(status="completed", output="primary", age_s=3600)
    primary = rows.connection
    rows.connection = await asyncpg.connect(bare_database)
    for id in (young, old):
        await rows.execution(id=id, status="completed", output="replica")
    await rows.connection.close()
    rows.connection = primary
    async with start_gateway(database_read_url=bare_database) as gateway:
        client = await gateway.client_for(Scope.EXECUTIONS_READ)
        outputs = []
        for id in (young, old, missing):
            async with client.get(f"/v1/executions/{id}") as answer:
                outputs.append((await answer.json())["output"])
    assert outputs == ["primary", "replica", "primary"]


async def test_a_replica_that_is_away_is_replaced_by_the_primary(
    start_gateway: Any, rows: Any, tools: Any, tmp_path: Path, ports: Any
) -> None:
    await rows.execution(age_s=3600)
    replica = EmbeddedPostgres(ports.keep_for(tmp_path / "replica"))
    await replica.start()
    await migrate(replica.dsn)
    async with start_gateway(database_read_url=replica.dsn) as gateway:

        async def found() -> int:
            async with gateway.client.get("/v1/executions") as answer:
                return len((await answer.json()).get("items", []))

        assert await found() == 0
        await replica.stop()
        await tools.eventually(found, "lists come from the primary")


async def test_a_gateway_starts_without_its_replica(start_gateway: Any, rows: Any) -> None:
    await rows.execution(age_s=3600)
    async with start_gateway(database_read_url="postgresql://kwe@127.0.0.1:1/kwe") as gateway:
        for _ in range(2):
            async with gateway.client.get("/v1/executions") as answer:
                assert len((await answer.json())["items"]) == 1


async def test_a_replica_that_lacks_a_migration_is_replaced_by_the_primary(
    start_gateway: Any, rows: Any, bare_database: str
) -> None:
    await migrate(bare_database)
    connection = await asyncpg.connect(bare_database)
    await connection.execute(
        "ALTER TABLE workflow.workflow_executions RENAME COLUMN labels TO earlier"
    )
    await connection.close()
    id = await rows.execution(age_s=3600)
    async with start_gateway(database_read_url=bare_database) as gateway:
        for path in ("/v1/executions", f"/v1/executions/{id}"):
            assert await status_of(gateway.client.get(path)) == 200
