"""What `kwe doctor` looks at itself: settings, secret files, PostgreSQL, Redis, streams. It changes nothing."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import asyncpg

from common.diagnosis import Finding
from common.diagnosis import database as postgresql
from common.diagnosis import redis as streams
from common.diagnosis.findings import ok, problem, warning
from common.errors import ConfigurationError
from common.postgres import connect
from common.settings import (
    SERVICES,
    DatabaseSettings,
    ExecutorSettings,
    GatewaySettings,
    RedisSettings,
    read,
)
from common.settings.secret_sources import with_secrets
from common.settings.table import variables
from common.streams.connection import REDIS_ERRORS, Link

KNOWLEDGE_QUEUES: Final = ("knowledge.search", "knowledge.ingest")
REDIS_TIMEOUT_SECONDS: Final = 5.0
CGROUP: Final = Path("/sys/fs/cgroup")
EXECUTOR_MIB: Final = 256
"""What an executor needs for itself."""

REPLICA_LAG_NOTICED_SECONDS: Final = 30.0
_ELSEWHERE: Final = "start it, or correct the address; names of containers are known only inside their network: run `kwe doctor` there"


async def examine(environ: Mapping[str, str]) -> AsyncGenerator[Finding]:
    """Everything, in the order in which one would mend it."""
    yield ok("versions", f"kwe {version('kwe-sdk')}, Python {platform.python_version()}")
    yield _temporary_files()
    try:
        environ = with_secrets(environ)
    except ConfigurationError as error:
        yield problem("settings", error.detail, "the manager must answer before anything starts")
        return
    environ = {name: value for name, value in environ.items() if name != "SECRETS_SOURCE"}
    for finding in _settings(environ):
        yield finding
    for finding in (*_secret_files(environ), *_memory(environ)):
        yield finding
    async for finding in _database(environ):
        yield finding
    async for finding in _redis(environ):
        yield finding


def _temporary_files() -> Finding:
    check = "temporary files"
    try:
        with tempfile.TemporaryFile():
            return ok(check, f"{tempfile.gettempdir()} is writable")
    except OSError as error:
        return problem(
            check,
            f"no temporary file can be written: {error.strerror or error}",
            "mount a writable /tmp (tmpfs will do), or set TMPDIR",
        )


def _memory(environ: Mapping[str, str], cgroup: Path = CGROUP) -> Iterator[Finding]:
    """Where scripts run, the container must have room for one beside the executor itself."""
    try:
        limit = int((cgroup / "memory.max").read_text())
        script = read(ExecutorSettings, environ).max_memory_mb
    except (OSError, ValueError, ConfigurationError):
        return  # no container, no limit, or settings that are complained of anyway
    if "executor" not in _services_here():
        return
    needed, check = script + EXECUTOR_MIB, "memory limit"
    detail = (
        f"this container may use {limit / 2**20:.0f} MiB, a script alone MAX_MEMORY_MB={script}"
    )
    if limit < needed * 2**20:
        yield warning(
            check, detail, f"raise the limit to {needed} MiB at least, or lower MAX_MEMORY_MB"
        )
    else:
        yield ok(check, detail)


def _settings(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Each service reads its own; what several complain of is said once."""
    complaints: dict[str, list[str]] = {}
    services = _services_here()
    for service in services:
        try:
            read(SERVICES[service], environ)
        except ConfigurationError as error:
            for line in error.detail.splitlines()[1:]:
                complaints.setdefault(line.strip(), []).append(service)
    for complaint, services in complaints.items():
        yield problem("settings", complaint, f"see docs/settings.md ({', '.join(services)})")
    if not complaints:
        yield ok("settings", f"{', '.join(services)} can start with them")


def _services_here() -> list[str]:
    """In the container of one service, only that one: it is not given what the others need."""
    installed = [service for service in SERVICES if find_spec(service) is not None]
    return installed or list(SERVICES)


def _secret_files(environ: Mapping[str, str]) -> Iterator[Finding]:
    for variable in variables():
        path = environ.get(f"{variable.name}_FILE", "") if variable.secret else ""
        if path and Path(path).is_file() and Path(path).stat().st_mode & 0o007:
            yield warning(
                "secret files",
                f"{variable.name}_FILE can be read by everybody on this machine",
                f"chmod 600 {path}",
            )


async def _database(environ: Mapping[str, str]) -> AsyncGenerator[Finding]:
    try:
        settings = read(DatabaseSettings, environ)
    except ConfigurationError:
        return  # said already, with the settings
    try:
        connection = await connect(settings, application_name="kwe-doctor")
    except ConfigurationError as error:
        yield problem("database", error.detail, _ELSEWHERE)
        return
    try:
        facts = await postgresql.look(connection)
        for finding in postgresql.judge(facts):
            yield finding
        yield postgresql.judge_pgvector(facts)
        yield await postgresql.judge_migrations(connection)
        yield _connections(facts.connections_max, settings.database_pool_max)
    except (asyncpg.PostgresError, OSError) as error:
        yield problem("database", f"PostgreSQL does not answer as it should: {error}", _ELSEWHERE)
    finally:
        await connection.close(timeout=5)
    async for finding in _replica(environ, settings):
        yield finding


def _connections(offered: int, pool_max: int) -> Finding:
    needed = len(SERVICES) * (pool_max + 1)
    detail = f"{offered} offered, up to {needed} used by one replica of every service"
    if needed > offered:
        return warning("connections", detail, "raise max_connections, or lower DATABASE_POOL_MAX")
    return ok("connections", detail)


async def _replica(
    environ: Mapping[str, str], settings: DatabaseSettings
) -> AsyncGenerator[Finding]:
    try:
        url = read(GatewaySettings, environ).database_read_url
    except ConfigurationError:
        return
    if url is None:
        return
    check = "read replica"
    try:
        connection = await connect(
            settings.model_copy(update={"database_url": url}), application_name="kwe-doctor"
        )
    except ConfigurationError as error:
        yield problem(check, error.detail, "correct DATABASE_READ_URL, or remove it")
        return
    try:
        lag: float | None = await connection.fetchval(
            "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8"
        )
    finally:
        await connection.close(timeout=5)
    if lag is None:
        yield warning(check, "DATABASE_READ_URL is no standby", "remove it, or name a standby")
    elif lag > REPLICA_LAG_NOTICED_SECONDS:
        remedy = "an idle primary sends nothing; if it is busy, look at pg_stat_replication there"
        yield warning(check, f"the last change it has is {lag:.0f} s old", remedy)
    else:
        yield ok(check, f"{lag:.1f} s behind")


async def _redis(environ: Mapping[str, str]) -> AsyncGenerator[Finding]:
    try:
        dsn = read(RedisSettings, environ).redis_dsn
    except ConfigurationError:
        return
    link = Link(dsn, timeout_s=REDIS_TIMEOUT_SECONDS, name="kwe-doctor")
    try:
        for finding in streams.judge(await streams.look(link)):
            yield finding
        for finding in await streams.judge_streams(link, *_streams(environ)):
            yield finding
    except REDIS_ERRORS as error:
        if why := streams.why_refused(error):
            yield problem("redis", f"Redis cannot be used: {why}", "correct the settings of Redis")
        else:
            yield problem("redis", f"Redis does not answer: {_words(error)}", _ELSEWHERE)
    finally:
        await link.close()


def _streams(environ: Mapping[str, str]) -> tuple[int, tuple[str, ...]]:
    """Partitions and queues, or their defaults where those settings are wrong."""
    try:
        settings = read(ExecutorSettings, environ)
    except ConfigurationError:
        settings = ExecutorSettings()
    return settings.partitions, (*settings.executor_queues, *KNOWLEDGE_QUEUES)


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {REDIS_TIMEOUT_SECONDS:g} s"
    return str(error) or type(error).__name__
