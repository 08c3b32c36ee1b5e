"""What backups ask of the database itself, and tell it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final
from uuid import uuid4

import asyncpg

from common.errors import ConfigurationError
from common.postgres import connect
from common.settings import DatabaseSettings
from common.streams.names import RESTORED

SCHEMAS: Final = ("workflow", "knowledge")
GATEWAY_ROLE: Final = "kwe_gateway"
OWNERS_POLICY: Final = "owner_works_for_all"

_BYPASSES: Final = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_HIDDEN: Final = f"""
SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY ($1) AND c.relrowsecurity AND NOT c.relispartition AND NOT EXISTS (
    SELECT FROM pg_policy AS p WHERE p.polrelid = c.oid AND p.polname = '{OWNERS_POLICY}'
      AND (SELECT oid FROM pg_roles WHERE rolname = current_user) = ANY (p.polroles))
ORDER BY c.relname LIMIT 1"""
_SERVICES: Final = """
SELECT DISTINCT application_name FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'kwe-%'
  AND application_name NOT IN ('kwe-backup', 'kwe-admin') ORDER BY 1"""
_TABLES: Final = """
SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1"""
_POLICIES: Final = f"""
SELECT format('ALTER POLICY {OWNERS_POLICY} ON %I.%I TO CURRENT_USER', schemaname, tablename)
FROM pg_policies WHERE policyname = '{OWNERS_POLICY}' AND NOT current_user = ANY (roles)"""


@asynccontextmanager
async def opened(settings: DatabaseSettings) -> AsyncGenerator[Any]:
    connection = await connect(settings, application_name="kwe-backup")
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def major_of(connection: Any) -> int:
    return int(connection.get_server_version().major)


async def needs_row_security(connection: Any) -> bool:
    """Whether this user reads under row-level security. It must see every row nevertheless, or a backup would lack some."""
    if await connection.fetchval(_BYPASSES):
        return False
    hidden = await connection.fetchval(_HIDDEN, list(SCHEMAS))
    if hidden is not None:
        user = await connection.fetchval("SELECT current_user")
        raise ConfigurationError(
            f"{user} does not see every row of {hidden}: back up as the user that ran `kwe migrate`, "
            "or as one with BYPASSRLS"
        )
    return True


async def require_installation(connection: Any) -> None:
    if await connection.fetchval("SELECT to_regclass('workflow.installation')") is None:
        raise ConfigurationError(
            "DATABASE_URL names a database without an installation: nothing to back up"
        )


async def note_backup(connection: Any) -> None:
    """Let orchestrators show how old the newest backup is. A user that may only read makes good backups too."""
    with suppress(asyncpg.InsufficientPrivilegeError):
        await connection.execute("UPDATE workflow.installation SET backed_up_at = now()")


async def require_nobody(connection: Any) -> None:
    """Services remember what they wrote; after a restore they would go on from what never happened."""
    services = [row[0] for row in await connection.fetch(_SERVICES)]
    if services:
        raise ConfigurationError(
            f"services are connected to this database ({', '.join(services)}): stop all of them first"
        )


async def tables(connection: Any) -> list[str]:
    """What stands in the way of a restore."""
    return [row[0] for row in await connection.fetch(_TABLES)]


async def clear(connection: Any) -> None:
    async with connection.transaction():
        for schema in SCHEMAS:
            await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        await connection.execute("DROP TABLE IF EXISTS public.kwe_migrations")


async def missing_roles(connection: Any, wanted: set[str]) -> list[str]:
    rows = await connection.fetch(
        "SELECT rolname FROM pg_roles WHERE rolname = ANY ($1)", list(wanted)
    )
    return sorted(wanted - {row[0] for row in rows})


async def take_over(connection: Any, stand_ins: list[str]) -> None:
    """Make the restored tables this user's: its policies named the user that the backup was made of."""
    async with connection.transaction():
        for row in await connection.fetch(_POLICIES):
            await connection.execute(row[0])
        for role in stand_ins:
            await connection.execute(f'DROP ROLE "{role}"')


async def declare_restored(connection: Any) -> str:
    """Tell orchestrators that Redis may hold what this database does not know; the generation they will begin."""
    generation = uuid4().hex
    await connection.execute(
        "UPDATE workflow.installation SET redis_generation = $1, updated_at = now()",
        f"{RESTORED}{generation}",
    )
    return generation
