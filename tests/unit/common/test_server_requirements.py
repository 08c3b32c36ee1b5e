"""What is said about a PostgreSQL or a Redis, from the facts alone."""

from dataclasses import replace

import pytest

from common.diagnosis import database, redis
from common.diagnosis.findings import Finding, Level, judge_clock

GOOD_DATABASE = database.DatabaseFacts(
    version_number=160004,
    standby=False,
    read_only=False,
    skew_seconds=0.01,
    pgvector_installed="0.8.1",
    pgvector_available="0.8.1",
    connections_max=100,
)
GOOD_REDIS = redis.RedisFacts(
    product="Valkey",
    version="8.1.0",
    too_old=False,
    replica=False,
    eviction="noeviction",
    appends=True,
    snapshots=True,
    write_failure="",
    memory_used=10,
    memory_max=0,
    skew_seconds=0.0,
)


def worst(findings: list[Finding]) -> Finding:
    order = [Level.OK, Level.WARNING, Level.PROBLEM]
    return max(findings, key=lambda finding: order.index(finding.level))


def test_nothing_is_said_against_good_servers() -> None:
    found = [*database.judge(GOOD_DATABASE), database.judge_pgvector(GOOD_DATABASE)]
    found += redis.judge(GOOD_REDIS)
    assert {finding.level for finding in found} == {Level.OK}


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"version_number": 140012}, Level.PROBLEM, "PostgreSQL 14.12 is too old: upgrade it to 15"),
        ({"version_number": 150000}, Level.OK, "PostgreSQL 15.0"),
        ({"standby": True}, Level.PROBLEM, "DATABASE_READ_URL"),
        ({"read_only": True}, Level.PROBLEM, "PostgreSQL is read-only: make its volume writable"),
        ({"skew_seconds": -31.0}, Level.PROBLEM, "31.0 s behind this machine's: synchronise"),
        ({"skew_seconds": 3.0}, Level.WARNING, "3.0 s ahead of"),
    ],
)  # fmt: skip
def test_a_database_is_judged_by_its_facts(
    changed: dict[str, object], level: Level, said: str
) -> None:
    finding = worst(list(database.judge(replace(GOOD_DATABASE, **changed))))  # type: ignore[arg-type]
    assert finding.level is level
    if level is not Level.OK:
        assert said in finding.sentence


@pytest.mark.parametrize(
    ("installed", "available", "level", "said"),
    [
        (None, None, Level.PROBLEM, "install the package postgresql-16-pgvector"),
        ("0.5.1", "0.8.0", Level.PROBLEM, "too old: install 0.7 or newer"),
        (None, "0.8.0", Level.WARNING, "run `kwe migrate`"),
        ("0.7.4", "0.7.4", Level.WARNING, "0.8 finds more"),
        ("0.10.0", "0.10.0", Level.OK, "pgvector 0.10.0"),
    ],
)
def test_pgvector_is_judged_by_its_version(
    installed: str | None, available: str | None, level: Level, said: str
) -> None:
    facts = replace(GOOD_DATABASE, pgvector_installed=installed, pgvector_available=available)
    finding = database.judge_pgvector(facts)
    assert finding.level is level
    assert said in finding.sentence


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"too_old": True, "version": "6.2.1"}, Level.PROBLEM, "6.2.1 is too old"),
        ({"replica": True}, Level.PROBLEM, "point REDIS_URL at the primary"),
        ({"eviction": "allkeys-lru"}, Level.PROBLEM, "set maxmemory-policy to noeviction"),
        ({"appends": False}, Level.WARNING, "keeps snapshots only: set appendonly yes"),
        ({"appends": False, "snapshots": False}, Level.WARNING, "keeps nothing on disk"),
        ({"appends": False, "snapshots": None}, Level.WARNING, "keeps no append-only file"),
        ({"write_failure": "appending to its file"}, Level.PROBLEM, "mounted read-only?"),
        ({"write_failure": "a snapshot"}, Level.WARNING, "a snapshot failed"),
        ({"memory_used": 90, "memory_max": 100}, Level.WARNING, "90% of maxmemory"),
        ({"skew_seconds": 45.0}, Level.PROBLEM, "45.0 s ahead of"),
    ],
)
def test_redis_is_judged_by_its_facts(changed: dict[str, object], level: Level, said: str) -> None:
    finding = worst(list(redis.judge(replace(GOOD_REDIS, **changed))))  # type: ignore[arg-type]
    assert finding.level is level
    assert said in finding.sentence


def test_clocks_that_agree_are_well() -> None:
    assert judge_clock("clock", "PostgreSQL", -1.5).level is Level.OK
