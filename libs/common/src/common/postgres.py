"""PostgreSQL: the pool, which failures are worth repeating, and queries kept in `.sql` files."""

import asyncio
import random
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg
from pydantic import SecretStr

from common.errors import ConfigurationError
from common.metrics import DATABASE_RETRIES
from common.pool_measures import measure_pool
from common.settings import DatabaseSettings
from common.tls import ssl_arguments, why_failed

T = TypeVar("T")

CONNECT_TIMEOUT_SECONDS: Final = 5.0
COMMAND_TIMEOUT_SECONDS: Final = 60.0
STARTING_UP_SECONDS: Final = 30.0
"""How long a server that answers "starting up" is waited for."""


# --- connecting ---------------------------------------------------------------------------------------------


async def create_pool(
    settings: DatabaseSettings,
    *,
    application_name: str,
    url: SecretStr | None = None,
    min_size: int | None = None,
    max_size: int | None = None,
    role: str | None = None,
    command_timeout: float = COMMAND_TIMEOUT_SECONDS,
    keeps_session: bool = False,
    server_settings: Mapping[str, str] | None = None,
) -> "asyncpg.Pool[asyncpg.Record]":
    """Open a pool, or raise `ConfigurationError` saying which server could not be used and why.

    `keeps_session` saves the round trip that resets a connection when it is given back: for services whose statements
    leave nothing behind in the session. `url` replaces `DATABASE_URL`, for a replica; `role` replaces `DATABASE_ROLE`. `json` and `jsonb` stay text:
    who needs a value parses it, and most only pass it on.
    """
    address = settings.database_dsn_of(url or settings.database_url)
    role = role or settings.database_role
    largest = max_size or settings.database_pool_max
    smallest = settings.database_pool_min if min_size is None else min_size
    pool = await _reach(
        address,
        lambda: asyncpg.create_pool(
            address,
            min_size=min(smallest, largest),
            max_size=largest,
            timeout=CONNECT_TIMEOUT_SECONDS,
            command_timeout=command_timeout,
            init=_keep_alive,
            reset=_leave_as_it_is if keeps_session else None,
            server_settings={
                "application_name": application_name,
                # A client that vanished must not hold its locks for the two hours of the system's default.
                "tcp_keepalives_idle": "30",
                "tcp_keepalives_interval": "10",
                "tcp_keepalives_count": "3",
                **({"role": role} if role else {}),
                **(server_settings or {}),
            },
            **ssl_arguments(settings),
        ),
    )
    measure_pool(pool, application_name if url is None else f"{application_name}-replica")
    return pool


async def connect(
    settings: DatabaseSettings, *, application_name: str
) -> "asyncpg.Connection[asyncpg.Record]":
    """One connection of its own, for commands such as migrations. Fails like `create_pool`."""
    address = settings.database_dsn
    return await _reach(
        address,
        lambda: asyncpg.connect(
            address,
            timeout=CONNECT_TIMEOUT_SECONDS,
            server_settings={"application_name": application_name},
            **ssl_arguments(settings),
        ),
    )


async def _reach(address: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """Wait for a server that is starting up; turn any other failure into a sentence for the operator."""
    give_up_at = asyncio.get_running_loop().time() + STARTING_UP_SECONDS
    while True:
        try:
            return await attempt()
        except asyncpg.CannotConnectNowError as error:
            if asyncio.get_running_loop().time() > give_up_at:
                raise _unreachable(address, error) from error
            await asyncio.sleep(0.25)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> ConfigurationError:
    parts = urlsplit(address)
    where = f"{parts.hostname or 'local socket'}:{parts.port or 5432}"
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError() | asyncpg.InvalidPasswordError():
            why = "it refuses the user or password of DATABASE_URL (and DATABASE_PASSWORD)"
        case asyncpg.InvalidCatalogNameError():
            why = "it has no database of that name; create it, or correct DATABASE_URL"
        case TimeoutError():
            why = f"no answer within {CONNECT_TIMEOUT_SECONDS:g} s; is the address right and the port open?"
        case ConnectionRefusedError():
            why = "nothing listens there; is it running, and is DATABASE_URL right?"
        case OSError():
            why = why_failed(error) or error.strerror or type(error).__name__
        case _:
            why = str(error)
    return ConfigurationError(
        f"PostgreSQL at {where} cannot be used: {why}", code="database_unreachable"
    )


async def _leave_as_it_is(_connection: Any) -> None:
    return


async def _keep_alive(connection: Any) -> None:
    """Notice a server that vanished without a word; asyncpg leaves the system's two hours in place."""
    # asyncpg has no public way to its socket; without one (a test double), there is nothing to set.
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)


# --- failures -----------------------------------------------------------------------------------------------

_RETRYABLE_STATES: Final = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "25006",  # read_only_sql_transaction: the server has become a standby
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "57P05",  # idle_session_timeout
    }
)
_RETRYABLE_CLASSES: Final = (
    "08",  # the connection failed
    "53",  # too many connections, out of memory, disk full: not the statement's fault
    "58",  # the server's own I/O failed
)
_MISUSE: Final = ("the server expects", "another operation is in progress")


def is_retryable(error: BaseException) -> bool:
    """Whether the same transaction may succeed if it is repeated. It may also have been committed already."""
    match error:
        case asyncpg.ClientConfigurationError() | asyncpg.UnsupportedClientFeatureError():
            return False
        case asyncpg.PostgresError():
            state = error.sqlstate or ""
            return state in _RETRYABLE_STATES or state.startswith(_RETRYABLE_CLASSES)
        case asyncpg.InterfaceError():
            return not any(words in str(error) for words in _MISUSE)
        case asyncpg.InternalClientError():  # a connection that was cut in the middle of an operation
            return True
        case OSError():  # `TimeoutError` is one
            return True
        case _:
            return False


def is_data_error(error: BaseException) -> bool:
    """Whether PostgreSQL refuses the value itself (class 22): repeating it can never help, so answer 422."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "").startswith("22")


def _condemns_connections(error: BaseException) -> bool:
    """Whether the failure says something about every connection of the pool, not only about one transaction."""
    return not isinstance(error, asyncpg.PostgresError) or not (
        (error.sqlstate or "").startswith(("40", "53"))
    )


async def retrying(
    operation: Callable[[], Awaitable[T]],
    *,
    pool: "asyncpg.Pool[Any] | None" = None,
    attempts_max: int = 6,
    delay_initial: float = 0.05,
    delay_max: float = 2.0,
    on_retry: Callable[[BaseException], None] | None = None,
) -> T:
    """Repeat `operation` while its failure is retryable. It must be safe to repeat after an unknown commit.

    Delays double and carry full jitter, so that replicas which failed together do not return together. After a
    failure of the connection, `pool` replaces all of its connections.
    """
    assert attempts_max >= 1
    for attempt in range(1, attempts_max):
        try:
            return await operation()
        except Exception as error:
            if not is_retryable(error):
                raise
            if pool is not None and _condemns_connections(error):
                await pool.expire_connections()
            DATABASE_RETRIES.inc()
            if on_retry is not None:
                on_retry(error)
            ceiling = min(delay_max, delay_initial * 2 ** (attempt - 1))
            await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311
    return await operation()


# --- queries ------------------------------------------------------------------------------------------------

_MARKER: Final = re.compile(r"^-- name: *(?P<name>[a-z][a-z0-9_]*) *$", re.MULTILINE)


@cache
def load_queries(package: str, filename: str) -> Mapping[str, str]:
    """Read the queries of `filename` in `package`, by the names in their `-- name: acquire_lease` lines.

    The comment stays with the query: it is sent along, and shows in `pg_stat_activity`.
    """
    text = resources.files(package).joinpath(filename).read_text(encoding="utf-8")
    markers = list(_MARKER.finditer(text))
    assert markers, f"{package}/{filename} names no query"
    queries: dict[str, str] = {}
    for marker, following in zip(markers, [*markers[1:], None], strict=True):
        end = following.start() if following is not None else len(text)
        name, query = marker["name"], text[marker.start() : end].strip()
        assert name not in queries, f"{package}/{filename} has two queries named {name}"
        queries[name] = query
    return queries
