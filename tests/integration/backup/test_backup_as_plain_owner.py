"""An owner without superuser's rights backs up every row, which row-level security could hide, and restores elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import pytest

PASSWORD = "a/b+c=d@e"
QUOTED = "a%2Fb%2Bc%3Dd%40e"


@pytest.fixture
def owned(auditor: Any, postgres: Any, fixture_loop: Any) -> Iterator[Any]:
    """`owned(role)`: an empty database of a new role that may do nothing else."""
    made: list[tuple[str, str]] = []

    def make(role: str) -> str:
        name = f"test_{uuid4().hex}"
        admin = postgres.dsn_of("postgres")
        auditor.fetch(admin, f"CREATE ROLE {role} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        auditor.fetch(admin, f'CREATE DATABASE "{name}" OWNER {role} TEMPLATE template0')
        auditor.fetch(admin, f"GRANT kwe_gateway TO {role} WITH ADMIN OPTION")
        # Only a superuser may, here: an operator does so once for each database.
        auditor.fetch(postgres.dsn_of(name), "CREATE EXTENSION vector")
        made.append((role, name))
        parts = urlsplit(postgres.dsn_of(name))
        place = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{QUOTED}@{place}"))

    yield make
    for role, name in made:
        forget(auditor, postgres.dsn_of("postgres"), role, name)


def forget(auditor: Any, admin: str, role: str, name: str) -> None:
    auditor.fetch(admin, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    if auditor.fetch(admin, "SELECT FROM pg_roles WHERE rolname = $1", role):
        auditor.fetch(admin, f"DROP OWNED BY {role}")
        auditor.fetch(admin, f"DROP ROLE {role}")


@pytest.mark.usefixtures("template")
def test_every_row_is_saved_and_works_for_another_owner_where_the_first_is_unknown(
    kwe: Any, auditor: Any, postgres: Any, owned: Any, tmp_path: Path
) -> None:
    suffix = uuid4().hex[:8]
    source, target = owned(f"one_{suffix}"), owned(f"two_{suffix}")
    assert kwe(source, "migrate").code == 0
    auditor.fill(source)

    taken = kwe(source, "backup", "--to", tmp_path)
    assert taken.code == 0, taken.err
    saved = auditor.contents(source)
    forget(auditor, postgres.dsn_of("postgres"), f"one_{suffix}", urlsplit(source).path[1:])
    restored = kwe(target, "restore", tmp_path)
    assert restored.code == 0, restored.err

    assert auditor.contents(target) == saved
    # The policies of the owner speak of the new one, or it would read nothing.
    assert auditor.value(target, "SELECT count(*) FROM workflow.workflow_executions") == 1
    # The role that stood in for the first owner is gone again.
    roles = "SELECT count(*) FROM pg_roles WHERE rolname = $1"
    assert auditor.value(target, roles, f"one_{suffix}") == 0


def test_a_user_who_cannot_see_every_row_makes_no_backup(
    kwe: Any, auditor: Any, database: str, postgres: Any, tmp_path: Path
) -> None:
    role = f"reader_{uuid4().hex[:8]}"
    auditor.fetch(database, f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
    auditor.fetch(database, f"GRANT pg_read_all_data TO {role}")
    parts = urlsplit(database)
    place = parts.netloc.rpartition("@")[2]
    try:
        dsn = urlunsplit(parts._replace(netloc=f"{role}:{QUOTED}@{place}"))
        said = kwe(dsn, "backup", "--to", tmp_path)
    finally:
        auditor.fetch(database, f"DROP OWNED BY {role}")
        auditor.fetch(database, f"DROP ROLE {role}")

    assert said.code == 2
    assert "does not see every row" in said.err
