"""Forward-only migrations, applied by a command and never by the start of a service.

Each owner keeps `NNNN_name.sql` files in a package of its own. A file is applied in one transaction together
with its row in `public.kwe_migrations`, so it is there whole or not at all. One advisory lock keeps two runs from
meeting. What has shipped is never edited: the recorded checksum refuses it. A database may be ahead of the
code (expand before contract), so applied migrations that this code does not know are no error.

Statements that refuse to run in a transaction (`CREATE INDEX CONCURRENTLY`) have no place here.
"""

import asyncio
import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module, resources
from typing import Any, Final

import asyncpg
from pydantic import SecretStr

from common.errors import ConfigurationError
from common.postgres import connect
from common.settings import DatabaseSettings, load

OWNERS: Final = ("orchestrator.migrations", "knowledge.migrations")
"""Packages that own a schema. An image that lacks one of them applies and checks the others."""

_FILE_NAME: Final = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")
_LOCK_KEY: Final = 0x6B77655F6D6967  # "kwe_mig" in hexadecimal
_LOCK_TIMEOUT: Final = "30s"

_CREATE_LEDGER: Final = """
CREATE TABLE IF NOT EXISTS public.kwe_migrations (
    owner      text        NOT NULL,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (owner, name)
);
-- Readiness checks run as roles that own nothing. Names and checksums tell them nothing they may not know.
GRANT SELECT ON public.kwe_migrations TO PUBLIC;
"""
_INSERT: Final = "INSERT INTO public.kwe_migrations (owner, name, checksum) VALUES ($1, $2, $3)"
_SELECT: Final = "SELECT owner, name, checksum FROM public.kwe_migrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    owner: str
    """The service, such as `orchestrator`."""

    name: str
    """The file's name. Its leading number orders it within its owner."""

    sql: str

    @property
    def label(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def checksum(self) -> str:
        # Line ends differ between checkouts, meaning does not.
        return hashlib.sha256(self.sql.replace("\r\n", "\n").encode()).hexdigest()


def discover(packages: Sequence[str] = OWNERS) -> list[Migration]:
    """All migrations of the installed owners, in the order they are applied."""
    return [migration for package in packages for migration in _of_package(package)]


def _of_package(package: str) -> list[Migration]:
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        # Only the owner itself may be absent; a module that is missing inside it is a bug to show.
        if error.name is not None and (
            package == error.name or package.startswith(f"{error.name}.")
        ):
            return []
        raise
    found: dict[str, Migration] = {}
    for entry in resources.files(package).iterdir():
        if not entry.name.endswith(".sql"):
            continue
        match = _FILE_NAME.fullmatch(entry.name)
        if match is None or match["number"] in found:
            raise ConfigurationError(
                f"{package}/{entry.name}: migrations are named NNNN_what_it_does.sql, each with a number of its own"
            )
        found[match["number"]] = Migration(
            owner=package.partition(".")[0],
            name=entry.name,
            sql=entry.read_text(encoding="utf-8"),
        )
    return [found[number] for number in sorted(found)]


async def migrate(database: DatabaseSettings | str, packages: Sequence[str] = OWNERS) -> list[str]:
    """Apply what is missing; answers the labels of what was applied. Safe to run twice, also at once.

    Raises `ConfigurationError` before it changes anything if a file that was applied has been edited since, or
    if a new file sorts before one that was applied.
    """
    if isinstance(database, str):
        database = DatabaseSettings(database_url=SecretStr(database))
    migrations = discover(packages)
    connection = await connect(database, application_name="kwe-migrate")
    try:
        # Held by the session, so it covers all files and goes with the connection, however that ends.
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK_KEY)
        await connection.execute(_CREATE_LEDGER)
        missing = _missing(migrations, await _applied(connection))
        for migration in missing:
            await _apply(connection, migration)
    finally:
        await connection.close(timeout=5)
    return [migration.label for migration in missing]


async def pending(
    pool: "asyncpg.Pool[Any] | asyncpg.Connection[Any]", packages: Sequence[str] = OWNERS
) -> list[str]:
    """Labels of what this code needs and the database does not have yet."""
    try:
        applied = await _applied(pool)
    except asyncpg.UndefinedTableError:
        applied = {}
    return [
        migration.label
        for migration in discover(packages)
        if (migration.owner, migration.name) not in applied
    ]


async def _applied(
    connection: "asyncpg.Pool[Any] | asyncpg.Connection[Any]",
) -> dict[tuple[str, str], str]:
    return {(row["owner"], row["name"]): row["checksum"] for row in await connection.fetch(_SELECT)}


def _missing(
    migrations: Sequence[Migration], applied: dict[tuple[str, str], str]
) -> list[Migration]:
    missing: list[Migration] = []
    for migration in migrations:
        checksum = applied.get((migration.owner, migration.name))
        if checksum is None:
            missing.append(migration)
        elif checksum != migration.checksum:
            raise ConfigurationError(
                f"{migration.label} was edited after it had been applied to this database. "
                "Restore it, and put the change into a new migration"
            )
        elif late := next((one for one in missing if one.owner == migration.owner), None):
            raise ConfigurationError(
                f"{late.label} sorts before {migration.name}, which is applied already. "
                "Give it the next free number"
            )
    return missing


async def _apply(connection: "asyncpg.Connection[Any]", migration: Migration) -> None:
    try:
        async with connection.transaction():
            # Waiting behind a long transaction would make everybody else wait behind us.
            await connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
            await connection.execute(migration.sql)
            await connection.execute(_INSERT, migration.owner, migration.name, migration.checksum)
    except asyncpg.PostgresError as error:
        raise ConfigurationError(
            f"{migration.label} failed and was rolled back: {error}", code="migration_failed"
        ) from error


def main() -> None:
    """python -m common.migrations: apply, and say what was applied."""
    settings = load(DatabaseSettings)
    try:
        applied = asyncio.run(migrate(settings))
    except ConfigurationError as error:
        sys.stderr.write(f"migrate: {error.detail}\n")
        raise SystemExit(error.exit_code) from None
    sys.stdout.writelines(f"applied {label}\n" for label in applied)
    if not applied:
        sys.stdout.write("nothing to apply\n")


if __name__ == "__main__":
    main()
