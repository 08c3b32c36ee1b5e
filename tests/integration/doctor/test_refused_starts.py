"""Services that are given servers which would lose something end with one line, and say how to mend it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from common.diagnosis import require_database, require_redis
from common.errors import ConfigurationError
from common.streams.connection import REDIS_ERRORS, Link
from embedded import EmbeddedValkey

OWNERS = ["orchestrator.migrations", "knowledge.migrations"]


@asynccontextmanager
async def pool_of(dsn: str) -> AsyncIterator[Any]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        yield pool


@asynccontextmanager
async def valkey_with(folder: Path, **settings: str) -> AsyncIterator[tuple[EmbeddedValkey, Link]]:
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    server = EmbeddedValkey(folder / "valkey", settings=named)
    await server.start()
    link = Link(server.url)
    try:
        yield server, link
    finally:
        await link.close()
        await server.stop()


def ended(service: str, **environ: str) -> tuple[int, str]:
    """Exit code and standard error of a service that is expected to refuse its start."""
    base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    ran = subprocess.run(
        [sys.executable, "-m", service],
        env={**base, "METRICS_PORT": "0", "PORT": "0", "HOST": "127.0.0.1", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.returncode, ran.stderr


async def test_a_whole_installation_is_accepted(database: str, redis_url: str) -> None:
    async with pool_of(database) as pool:
        await require_database(pool, migrations=OWNERS, vectors=True)
    link = Link(redis_url)
    await require_redis(link)
    await link.close()


async def test_a_database_that_cannot_be_written_is_refused(bare_database: str) -> None:
    name = urlsplit(bare_database).path.lstrip("/")
    connection = await asyncpg.connect(bare_database)
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await connection.close()
    async with pool_of(bare_database) as pool:
        with pytest.raises(ConfigurationError, match="PostgreSQL is read-only: make its volume"):
            await require_database(pool)


def test_pending_migrations_end_a_service(bare_database: str, redis_url: str) -> None:
    service = "knowledge"
    code, said = ended(service, DATABASE_URL=bare_database, REDIS_URL=redis_url)
    assert code == 2, said
    assert said.startswith(f"{service}: ")
    assert "migrations are not applied" in said
    assert said.endswith("run `kwe migrate`\n")
    assert said.count("\n") == 1


PRETENCES = {
    "database version": (
        """CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$
           SELECT CASE $1 WHEN 'server_version_num' THEN '140012'
                  ELSE pg_catalog.current_setting($1) END $$""",
        "PostgreSQL 14.12 is too old: upgrade it to 15 or newer",
    ),
    "clock": (
        """CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$
           SELECT pg_catalog.now() - interval '10 minutes' $$""",
        "s behind this machine's: synchronise the clocks of both machines",
    ),
    "pgvector": (
        """CREATE VIEW public.pg_available_extensions AS
           SELECT ''::name AS name, ''::text AS default_version WHERE false""",
        "PostgreSQL has no pgvector: install the package postgresql-",
    ),
}
"""How to make PostgreSQL say it, and what must be said about it then."""


@pytest.mark.parametrize("pretence", PRETENCES)
async def test_a_database_that_will_not_do_is_refused_in_one_line(
    bare_database: str, pretence: str
) -> None:
    statement, expected = PRETENCES[pretence]
    name = urlsplit(bare_database).path.lstrip("/")
    connection = await asyncpg.connect(bare_database)
    await connection.execute(statement)
    # What is in `public` is found before what PostgreSQL has of the same name.
    await connection.execute(f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
    await connection.close()
    async with pool_of(bare_database) as pool:
        with pytest.raises(ConfigurationError) as refused:
            await require_database(pool, migrations=OWNERS, vectors=True)
    assert expected in refused.value.detail
    assert "\n" not in refused.value.detail


def test_everything_that_is_missing_is_in_one_message(tmp_path: Path) -> None:
    environ = {"APP_ENV": "production", "JWT_SECRET_FILE": str(tmp_path / "missing")}
    code, said = ended("gateway", **environ)
    assert code == 2
    assert "DATABASE_URL is required in production" in said
    assert "JWT_SECRET_FILE cannot be read: No such file or directory" in said
    assert "Traceback" not in said


async def test_an_evicting_redis_ends_a_service(database: str, server_folder: Path) -> None:
    folder = server_folder / "evicting"
    async with valkey_with(folder, maxmemory_policy="allkeys-lru") as (server, _):
        code, said = ended("orchestrator", DATABASE_URL=database, REDIS_URL=server.url)
    assert code == 2, said
    assert "maxmemory-policy allkeys-lru" in said
    assert "set maxmemory-policy to noeviction" in said
    assert said.count("\n") == 1


async def test_a_redis_without_persistence_is_warned_of(server_folder: Path) -> None:
    folder = server_folder / "forgetful"
    async with valkey_with(folder, appendonly="no", save='""') as (_, link):
        with structlog.testing.capture_logs() as logs:
            await require_redis(link)
    assert [(line["check"], line["log_level"]) for line in logs] == [
        ("redis persistence", "warning")
    ]


async def test_a_replica_of_redis_is_refused(server_folder: Path, redis_url: str) -> None:
    async with valkey_with(server_folder / "replica") as (_, link):
        await link.call("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(ConfigurationError, match="is a replica: point REDIS_URL"):
            await require_redis(link)


async def test_a_user_without_rights_to_ask_is_believed(server_folder: Path) -> None:
    async with valkey_with(server_folder / "managed") as (server, link):
        await link.call(
            "ACL", "SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-info", "-config"
        )
        other = Link(f"redis://app:pw@127.0.0.1:{server.port}/0")
        await require_redis(other)
        await other.close()


async def test_a_redis_that_is_away_is_only_for_some_a_reason(server_folder: Path) -> None:
    link = Link("redis://127.0.0.1:1/0")
    await require_redis(link, may_be_away=True)
    with pytest.raises(REDIS_ERRORS):
        await require_redis(link)


@pytest.mark.parametrize("credentials", ["", ":wrong@", "nobody:wrong@"])
async def test_a_wrong_password_of_redis_is_not_waited_out(
    redis_url: str, credentials: str
) -> None:
    parts = urlsplit(redis_url)
    link = Link(f"redis://{credentials}{parts.hostname}:{parts.port}/0")
    with pytest.raises(ConfigurationError, match="refuses the password of REDIS_URL"):
        await require_redis(link, may_be_away=True)
    await link.close()
