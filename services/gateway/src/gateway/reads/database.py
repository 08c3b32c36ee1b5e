"""Read-only transactions that see one organisation, on the replica where that is fresh enough.

Theory of operation
-------------------
Every read runs in a transaction of its own that sets `app.org` for its duration, so that a connection that goes back
to the pool, or a pooler between us and the server, can never carry one organisation's view to another's request.
`BEGIN` and the setting travel in one round trip.

A replica lags, by hours if its replay is paused. What is younger than `FRESH_MS` is read from the primary, and so is what
the replica does not have (yet): who was told of an object finds it. Lists come from the replica and may lack the last
moments. A replica that is away, or cancels a query because its replay must go on, is replaced by the primary.

A server that just failed is not asked again for a moment: while it is away, callers get their 503 at once instead of
each waiting for a connection of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg

from common.errors import Unavailable, Unprocessable
from common.ids import uuid7_ms
from common.logs import get_logger
from common.postgres import is_data_error, is_retryable

log = get_logger(__name__)

T = TypeVar("T")

Connection = Any
"""asyncpg's pool lends a proxy of its connection; both have the same methods."""

Row = asyncpg.Record

CONNECTION_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
)
"""The internal one is what a connection says that was cut in the middle of an operation."""

DATABASE_AWAY: Final = "database_unavailable"

UNKNOWN_OBJECT: Final = "42"
"""The class of errors about tables, columns and functions that a server does not have."""

FRESH_MS: Final = 30_000
AVOID_SECONDS: Final = 0.5
ACQUIRE_SECONDS: Final = 3.0

READ: Final = "READ ONLY"
WRITE: Final = "READ WRITE"


class Server:
    """One pool, and whether it is worth asking."""

    def __init__(self, pool: asyncpg.Pool[Row], name: str) -> None:
        self._pool = pool
        self._avoid_until = 0.0
        self._name = name

    @property
    def is_avoided(self) -> bool:
        return time.monotonic() < self._avoid_until

    @asynccontextmanager
    async def transaction(
        self, organization_id: UUID | None, *, mode: str = READ
    ) -> AsyncGenerator[Connection]:
        """Raises `Unavailable` while the server is away, and `Unprocessable` for values that it refuses."""
        connection = await self._acquire()
        try:
            await connection.execute(_begin(organization_id, mode))
            try:
                yield connection
            except BaseException:
                await _roll_back(connection)
                raise
            await connection.execute("COMMIT")
        except TimeoutError as error:
            # One slow statement says nothing about the server: others go on.
            raise Unavailable(
                "PostgreSQL took too long for this request.", code="database_timeout"
            ) from error
        except CONNECTION_ERRORS as error:
            raise await self._translated(error) from error
        finally:
            await self._pool.release(connection)

    async def _acquire(self) -> Connection:
        if self.is_avoided:
            raise away()
        try:
            return await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        except TimeoutError as error:
            if self._pool.get_size() >= self._pool.get_max_size():
                raise Unavailable(
                    "Every connection to PostgreSQL is in use. Nothing was done.", code="saturated"
                ) from error
            raise await self._translated(error) from error
        except CONNECTION_ERRORS as error:
            raise await self._translated(error) from error

    async def _translated(self, error: Exception) -> Exception:
        if is_data_error(error):
            return Unprocessable(
                "PostgreSQL cannot hold or compare a value of this request.", code="invalid_value"
            )
        if not is_retryable(error):
            return error
        log.warning("database_unreachable", server=self._name, error=type(error).__name__)
        self._avoid_until = time.monotonic() + AVOID_SECONDS
        await self._pool.expire_connections()
        return away()


def _begin(organization_id: UUID | None, mode: str) -> str:
    # A UUID's text holds hexadecimal digits and hyphens only: nothing to escape. One simple query, one round trip.
    setting = f"; SET LOCAL app.org = '{UUID(int=organization_id.int)}'" if organization_id else ""
    return f"BEGIN {mode}{setting}"


async def _roll_back(connection: Connection) -> None:
    if not connection.is_closed():
        async with asyncio.timeout(1):
            await connection.execute("ROLLBACK")


def away() -> Unavailable:
    return Unavailable(
        "PostgreSQL cannot be reached. Nothing was done.",
        code=DATABASE_AWAY,
        retry_after=2,
    )


class Database:
    """The primary, and the replica where one is configured."""

    def __init__(self, primary: Server, replica: Server | None = None) -> None:
        self.primary = primary
        self._replica = replica

    @property
    def for_lists(self) -> Server:
        """Where lists are read: what was written this moment may be missing."""
        replica = self._replica
        return self.primary if replica is None or replica.is_avoided else replica

    async def rows(self, organization_id: UUID, query: str, *arguments: object) -> list[Row]:
        """A list, as far as the replica has it."""

        async def look(connection: Connection) -> list[Row]:
            rows: list[Row] = await connection.fetch(query, *arguments)
            return rows

        return await self.find(organization_id, look) or []

    async def row(
        self, organization_id: UUID, query: str, *arguments: object, of: UUID | None = None
    ) -> Row | None:
        """One row. `of` is the UUIDv7 it belongs to: a young one is read from the primary."""

        async def look(connection: Connection) -> Row | None:
            row: Row | None = await connection.fetchrow(query, *arguments)
            return row

        return await self.find(organization_id, look, of=of)

    async def find(
        self,
        organization_id: UUID,
        look: Callable[[Connection], Awaitable[T | None]],
        *,
        of: UUID | None = None,
    ) -> T | None:
        """What `look` finds. None says that there is nothing (yet): then the primary is asked, too."""
        server = self.primary if of is not None and is_fresh(of) else self.for_lists
        if server is not self.primary:
            found = await _unless_away(server, organization_id, look)
            if found is not None:
                return found
        async with self.primary.transaction(organization_id) as connection:
            return await look(connection)


async def _unless_away(
    server: Server, organization_id: UUID, look: Callable[[Connection], Awaitable[T | None]]
) -> T | None:
    try:
        async with server.transaction(organization_id) as connection:
            return await look(connection)
    except Unavailable as error:
        if error.code != DATABASE_AWAY:
            raise
        return None
    except asyncpg.PostgresError as error:
        # A migration that this code was made for has not been replayed there yet.
        if not (error.sqlstate or "").startswith(UNKNOWN_OBJECT):
            raise
        log.warning("replica_is_of_an_older_version", error=str(error))
        return None


def is_fresh(id: UUID) -> bool:
    """Whether a replica may not have it yet."""
    return uuid7_ms(id) > time.time_ns() // 1_000_000 - FRESH_MS
