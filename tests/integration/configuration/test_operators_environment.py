"""An `.env.production` as operators have it starts everything as it is, and work gets done with it."""

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from openai_server import OpenAIServer
from redis.asyncio import Redis
from tls_proxy import Authority, TlsProxy, tls_proxy

from common.diagnosis import Level
from embedded import EmbeddedValkey
from kwe import Client
from kwe.local.env_files import read_env_file
from kwe.local.examination import examine
from kwe.local.stack import LocalStack

PASSWORD = "p/a+s=s@w#r:d%"
USER = "operators_environment"

ENVIRONMENT = """\
# Server
NODE_ENV=production
PORT={port}
HOST=127.0.0.1
LOG_LEVEL=info
LOG_FORMAT=json
# Database
DATABASE_URL=postgresql://{user}:{password}@127.0.0.1:{postgres}/{database}
DATABASE_POOL_MIN=2
DATABASE_POOL_MAX=10
DATABASE_SSL=verify-full
DATABASE_SSL_ROOT_CERT={authority}
# Redis
REDIS_URL=redis://127.0.0.1:{redis}
REDIS_PASSWORD={password}
REDIS_TLS=true
REDIS_TLS_ROOT_CERT={authority}
# Models
OPENAI_API_KEY=sk-test
OPENAI_BASE_URL={openai}/v1
OPENAI_MODEL=reasoner-1
OPENAI_MAX_TOKENS=2000
OPENAI_TEMPERATURE=0.7
# Vectors
VECTOR_DB_PROVIDER=pgvector
PINECONE_API_KEY=
PINECONE_ENVIRONMENT=us-east-1-aws
PINECONE_INDEX=documents
EMBEDDING_PROVIDER=openai
EMBEDDING_MODEL=text-embedding-ada-002
EMBEDDING_DIMENSIONS=1536
# Security
JWT_SECRET=a-secret-of-more-than-thirty-two-characters
JWT_EXPIRY=24h
CORS_ORIGIN=https://app.example.com
CORS_CREDENTIALS=true
RATE_LIMIT_WINDOW=15m
RATE_LIMIT_MAX_REQUESTS=1000
# Execution
MAX_WORKFLOW_DURATION_MS=300000
MAX_CONCURRENT_EXECUTIONS=50
MAX_RETRY_ATTEMPTS=3
MAX_MEMORY_MB=512
MAX_CPU_PERCENT=80
# Monitoring
APM_ENABLED=true
APM_SERVICE_NAME=knowledge-workflow-engine
APM_SERVER_URL={openai}
SENTRY_DSN=
SENTRY_ENVIRONMENT=production
SENTRY_TRACES_SAMPLE_RATE=0.1
METRICS_ENABLED=true
"""

WORKFLOW = """\
document: {dsl: '1.0.3', namespace: operators, name: ask, version: '1.0.0'}
do:
  - answer:
      call: llm:1.0.0@default
      with: {prompt: '${ .question }'}
"""


@dataclass
class Installation:
    stack: LocalStack
    postgres: TlsProxy
    redis: TlsProxy
    openai: OpenAIServer
    variables: dict[str, str]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="kwe-operators-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def installation(
    fixture_loop: Any, postgres: Any, server_folder: Path, authority: Authority, folder: Path
) -> Iterator[Installation]:
    stack = AsyncExitStack()
    started = fixture_loop.run(_start(stack, postgres, server_folder, authority, folder))
    yield started
    fixture_loop.run(stack.aclose())


async def _start(
    stack: AsyncExitStack, postgres: Any, servers: Path, authority: Authority, folder: Path
) -> Installation:
    context = authority.server_context("127.0.0.1")
    database = await _database(stack, postgres)
    valkey = await _valkey(stack, servers / "operators")
    before = urlsplit(postgres.dsn)
    here = (before.hostname or "127.0.0.1", before.port or 5432)
    encrypted = await stack.enter_async_context(tls_proxy(here, context, postgres=True))
    redis = await stack.enter_async_context(tls_proxy(("127.0.0.1", valkey.port), context))
    openai = await _openai(stack)
    file = folder / ".env.production"
    file.write_text(
        ENVIRONMENT.format(
            port=_free_port(),
            user=USER,
            password=PASSWORD,
            postgres=encrypted.port,
            database=database,
            redis=redis.port,
            authority=authority.file,
            openai=openai.url,
        )
    )
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), **read_env_file(file)}
    local = await stack.enter_async_context(LocalStack(folder / ".kwe", variables))
    return Installation(local, encrypted, redis, openai, variables)


async def _database(stack: AsyncExitStack, postgres: Any) -> str:
    connection = await asyncpg.connect(postgres.dsn_of("postgres"))
    name = f"{USER}_{os.getpid()}"
    await connection.execute(f"DROP ROLE IF EXISTS {USER}")
    await connection.execute(f"CREATE ROLE {USER} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    await connection.execute(f"CREATE DATABASE {name} OWNER {USER}")

    async def drop() -> None:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.execute(f"DROP ROLE {USER}")
        await connection.close()

    stack.push_async_callback(drop)
    return name


async def _valkey(stack: AsyncExitStack, folder: Path) -> EmbeddedValkey:
    server = EmbeddedValkey(folder)
    await server.start()
    stack.push_async_callback(server.stop)
    async with Redis.from_url(server.url) as client:
        await client.config_set("requirepass", PASSWORD)
    return server


async def _openai(stack: AsyncExitStack) -> OpenAIServer:
    server = OpenAIServer()
    app = web.Application()
    app.add_routes(server.routes())
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return server


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_everything_is_ready_and_nothing_went_unencrypted(installation: Installation) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{installation.stack.url}/ready") as answer,
    ):
        assert answer.status == 200, await answer.text()
    assert installation.stack.url.endswith(f":{installation.variables['PORT']}")
    assert installation.postgres.encrypted > 4
    assert installation.postgres.refused == 0
    assert installation.redis.encrypted > 4


async def test_a_model_that_refuses_parameters_answers(installation: Installation) -> None:
    async with Client(installation.stack.url, installation.stack.api_key) as client:
        await client.apply(WORKFLOW)
        execution = await client.run("operators/ask", {"question": "How long?"}, timeout=60)
    output: Any = execution.require_completed().output
    assert output["text"] == "Within 30 days."
    assert installation.openai.refused == ["temperature", "max_tokens"]


async def test_documents_are_embedded_by_a_model_that_takes_no_dimensions(
    installation: Installation,
) -> None:
    async with Client(installation.stack.url, installation.stack.api_key) as client:
        await client.create_collection("policies")
        text = "Items may be returned within 30 days."
        await client.add_documents("policies", [{"id": "refunds", "text": text}])
        document = await client.wait_for_document("policies", "refunds")
        assert (document.status, document.error) == ("ready", None)
    assert installation.openai.embedded >= 1
    assert "dimensions" not in installation.openai.refused


async def test_traces_reach_the_apm_server(installation: Installation) -> None:
    headers = {
        "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01",
        "Authorization": f"Bearer {installation.stack.api_key}",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{installation.stack.url}/v1/workflows", headers=headers) as answer,
    ):
        assert answer.status == 200
    async with asyncio.timeout(30):
        while not installation.openai.traces:  # noqa: ASYNC110  # another process's exporter decides when
            await asyncio.sleep(0.1)


async def test_the_doctor_finds_everything_well_behind_the_same_settings(
    installation: Installation,
) -> None:
    found = [finding async for finding in examine(installation.variables)]
    not_well = [
        finding.sentence
        for finding in found
        if finding.level is not Level.OK and finding.check != "memory limit"  # this machine's
    ]
    assert not_well == []
    assert {"settings", "migrations", "redis persistence", "streams"} <= {
        one.check for one in found
    }
