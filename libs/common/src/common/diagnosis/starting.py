"""What a service insists on before it starts: the first problem ends the process, warnings are logged."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from common.diagnosis import database, redis
from common.diagnosis.findings import Finding, Level
from common.errors import ConfigurationError
from common.logs import get_logger
from common.streams.connection import REDIS_ERRORS, Link

log = get_logger(__name__)


async def require_database(
    pool: "asyncpg.Pool[Any]", *, migrations: Sequence[str] = (), vectors: bool = False
) -> None:
    """Raise `ConfigurationError` unless PostgreSQL is new enough, writable, right about the time, and migrated by
    the owners in `migrations`; with `vectors`, also unless it has pgvector.
    """
    facts = await database.look(pool)
    found = list(database.judge(facts))
    if vectors:
        found.append(database.judge_pgvector(facts))
    _require(
        found
    )  # first: on a server without pgvector the migrations are missing for that very reason
    if migrations:
        _require([await database.judge_migrations(pool, migrations)])


async def require_redis(link: Link, *, may_be_away: bool = False) -> None:
    """Raise `ConfigurationError` for a Redis that lets us not in, or would lose messages. With `may_be_away`, one that
    does not answer is none of the caller's business yet."""
    try:
        facts = await redis.look(link)
    except REDIS_ERRORS as error:
        if why := redis.why_refused(error):
            raise ConfigurationError(
                f"Redis cannot be used: {why}", code="redis_refused"
            ) from error
        if not may_be_away:
            raise
        return
    _require(redis.judge(facts))


def _require(findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.level is Level.PROBLEM:
            raise ConfigurationError(finding.sentence, code=finding.check.replace(" ", "_"))
        if finding.level is Level.WARNING:
            log.warning(
                "start_with_warning",
                check=finding.check,
                detail=finding.detail,
                remedy=finding.remedy,
            )
