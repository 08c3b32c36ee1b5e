"""PostgreSQL: its version, whether it can be written, its clock, pgvector, the migrations."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from common.diagnosis.findings import Finding, judge_clock, ok, problem, warning
from common.migrations import OWNERS, pending

VERSION_MIN: Final = 15
PGVECTOR_MIN: Final = (0, 7)
"""The first with `halfvec`."""

PGVECTOR_ADVISED: Final = (0, 8)

_FACTS: Final = """
SELECT current_setting('server_version_num')::int AS version_number,
       pg_is_in_recovery() AS standby,
       current_setting('transaction_read_only')::bool AS read_only,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       (SELECT e.extversion FROM pg_extension e WHERE e.extname = 'vector') AS installed,
       (SELECT a.default_version FROM pg_available_extensions a WHERE a.name = 'vector') AS available,
       current_setting('max_connections')::int AS connections_max"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    version_number: int
    """160004 is 16.4."""

    standby: bool
    read_only: bool
    skew_seconds: float
    pgvector_installed: str | None
    pgvector_available: str | None
    connections_max: int

    @property
    def version(self) -> str:
        return f"{self.version_number // 10_000}.{self.version_number % 10_000}"


async def look(connection: "asyncpg.Pool[Any] | asyncpg.Connection[Any]") -> DatabaseFacts:
    """One question, so that a start pays one round trip."""
    before = time.time()
    row = await connection.fetchrow(_FACTS)
    after = time.time()
    assert row is not None
    return DatabaseFacts(
        version_number=row["version_number"],
        standby=row["standby"],
        read_only=row["read_only"],
        # The answer was right somewhere between sending and receiving.
        skew_seconds=_outside(row["clock"], before, after),
        pgvector_installed=row["installed"],
        pgvector_available=row["available"],
        connections_max=row["connections_max"],
    )


def judge(facts: DatabaseFacts) -> Iterator[Finding]:
    """All but pgvector, which only the knowledge service and the migrations need."""
    if facts.version_number < VERSION_MIN * 10_000:
        yield problem(
            "database version",
            f"PostgreSQL {facts.version} is too old",
            f"upgrade it to {VERSION_MIN} or newer (pg_upgrade, or dump and restore)",
        )
    else:
        yield ok("database version", f"PostgreSQL {facts.version}")
    yield _judge_writing(facts)
    yield judge_clock("database clock", "PostgreSQL", facts.skew_seconds)


def _judge_writing(facts: DatabaseFacts) -> Finding:
    if facts.standby:
        return problem(
            "database writes",
            "PostgreSQL is a standby and cannot be written",
            "point DATABASE_URL at the primary; a replica belongs in DATABASE_READ_URL",
        )
    if facts.read_only:
        return problem(
            "database writes",
            "PostgreSQL is read-only",
            "make its volume writable, and switch default_transaction_read_only off",
        )
    return ok("database writes", "allowed")


def judge_pgvector(facts: DatabaseFacts) -> Finding:
    check = "pgvector"
    if facts.pgvector_installed is None and facts.pgvector_available is None:
        return problem(
            check,
            "PostgreSQL has no pgvector",
            f"install the package postgresql-{facts.version_number // 10_000}-pgvector on its machine, "
            "or use the image pgvector/pgvector",
        )
    version = facts.pgvector_installed or facts.pgvector_available or ""
    if _numbers(version) < PGVECTOR_MIN:
        return problem(
            check,
            f"pgvector {version} is too old",
            "install 0.7 or newer, then ALTER EXTENSION vector UPDATE",
        )
    if facts.pgvector_installed is None:
        return warning(
            check, f"pgvector {version} is there, but not in this database", "run `kwe migrate`"
        )
    if _numbers(version) < PGVECTOR_ADVISED:
        return warning(
            check, f"pgvector {version} works", "0.8 finds more under filters: install it"
        )
    return ok(check, f"pgvector {version}")


async def judge_migrations(
    connection: "asyncpg.Pool[Any] | asyncpg.Connection[Any]", packages: Sequence[str] = OWNERS
) -> Finding:
    missing = await pending(connection, packages)
    if missing:
        return problem(
            "migrations",
            f"{len(missing)} migrations are not applied, the first is {missing[0]}",
            "run `kwe migrate`",
        )
    return ok("migrations", "all are applied")


def _outside(value: float, earliest: float, latest: float) -> float:
    """How far a clock was outside the time in which it was read."""
    return value - latest if value > latest else min(0.0, value - earliest)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
