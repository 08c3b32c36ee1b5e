"""One connection to Redis with nothing between us and the protocol: no retries, no pools, no reply callbacks.

redis-py retries ten times by default, `XADD` included, so a lost reply would publish twice, and its pipelines cost
more CPU than the commands. This keeps its connection (URLs, TLS, authentication, RESP parsing by hiredis) and
sends commands as packed bytes. Whoever holds the link owns reconnection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

Argument = bytes | str | int | float
Command = tuple[Argument, ...]

REDIS_ERRORS = (RedisError, OSError, asyncio.TimeoutError)
"""What a command may raise when Redis is away; `ResponseError` is an answer, and a subclass of the first."""


# hiredis declares a tuple of one argument; it takes any number.
_pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]


class NeverConnected(RedisError):
    """There was no connection and none could be made: nothing of the commands was sent."""


class Link:
    """An exclusive connection, opened on first use and closed after any failure."""

    def __init__(self, url: str, *, timeout_s: float = 5.0, name: str = "kwe") -> None:
        self._timeout_s = timeout_s
        self._pool = ConnectionPool.from_url(
            url,
            protocol=2,
            # One limit around everything, in `pipeline`. Redis-py's own would cost a timer for each reply, and a task for
            # each write: `asyncio.wait_for`, which before Python 3.12 also swallows a cancellation now and then.
            socket_timeout=None,
            socket_connect_timeout=min(timeout_s, 3.0),
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            client_name=name,
            decode_responses=False,
        )
        self._connection: AbstractConnection | None = None
        self._lock = asyncio.Lock()

    async def call(self, *command: Argument) -> Any:
        """Send one command. Raises `ResponseError` for an error reply, other `REDIS_ERRORS` when Redis is away."""
        (reply,) = await self.pipeline([command])
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send all commands in one write. Error replies are returned in their places, not raised."""
        packed = b"".join([_pack(command) for command in commands])
        async with self._lock, asyncio.timeout(self._timeout_s):
            try:
                connection = await self._connected()
                await connection.send_packed_command(packed, check_health=False)
                return [await self._reply(connection) for _ in commands]
            except BaseException:
                # After a cancellation or a lost connection the replies no longer match the commands.
                await self._disconnect()
                raise

    async def close(self) -> None:
        await self._disconnect()

    async def _connected(self) -> AbstractConnection:
        if self._connection is None:
            connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]  # redis-py
            try:
                await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
            except REDIS_ERRORS as error:
                await connection.disconnect(nowait=True)
                raise NeverConnected(str(error) or type(error).__name__) from error
            except BaseException:
                await connection.disconnect(nowait=True)
                raise
            self._connection = connection
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)

    @staticmethod
    async def _reply(connection: AbstractConnection) -> Any:
        try:
            return await connection.read_response()
        except ResponseError as error:
            return error
