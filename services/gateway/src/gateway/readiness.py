"""Whether this process can serve requests, in words for an operator."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from common.errors import ConfigurationError
from common.health import Check
from gateway.reads.database import Database
from gateway.reads.queries import OPERATIONS
from gateway.upstream import Upstream

NOT_MIGRATED = "the migrations have not been applied; run `kwe migrate`"


def checks(database: Database, upstream: Upstream, *, partitions: int) -> Mapping[str, Check]:
    async def postgres() -> str | None:
        try:
            installed = await installed_partitions(database)
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            return NOT_MIGRATED
        except asyncpg.InsufficientPrivilegeError as error:
            return f"the database user lacks rights: {error}"
        return _mismatch(installed, partitions)

    async def streams() -> str | None:
        # Asked for until it was there once, so that the first start after coming up works. Later it may go away:
        # reads go on without it, and must not be taken out of service with all replicas at once.
        return None if upstream.has_been_well else upstream.reason

    return {"postgres": postgres, "streams": streams}


async def require_same_partitions(database: Database, partitions: int) -> None:
    """A gateway with another number of partitions would send commands where nobody reads them."""
    try:
        installed = await installed_partitions(database)
    except asyncpg.PostgresError:
        return  # readiness says what is missing, and takes it back when it is there
    mismatch = _mismatch(installed, partitions)
    if mismatch is not None:
        raise ConfigurationError(mismatch)


async def installed_partitions(database: Database) -> int | None:
    async with database.primary.transaction(None) as connection:
        value: int | None = await connection.fetchval(OPERATIONS["partitions"])
    return value


def _mismatch(installed: int | None, partitions: int) -> str | None:
    if installed is None:
        return NOT_MIGRATED
    if installed != partitions:
        return f"PARTITIONS={partitions}, but this system was installed with {installed}; set PARTITIONS={installed}"
    return None
