"""Short commands to Redis: whatever one turn of the event loop asks goes out in one write."""

from __future__ import annotations

import asyncio
from typing import Any

from redis.exceptions import ResponseError

from common.streams.connection import Argument, Command, Link


class Calls:
    """Shares one link among concurrent callers, who would otherwise wait for each other's round trips."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._queue: list[tuple[Command, asyncio.Future[Any]]] = []
        self._flush: asyncio.Task[None] | None = None

    async def call(self, *command: Argument) -> Any:
        """Raises `ResponseError` for an error reply, other `REDIS_ERRORS` when Redis is away."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        self._queue.append((command, future))
        if self._flush is None:
            self._flush = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._queue:
                queue, self._queue = self._queue, []
                await self._send(queue)
        finally:
            self._flush = None

    async def _send(self, queue: list[tuple[Command, asyncio.Future[Any]]]) -> None:
        try:
            replies = await self._link.pipeline([command for command, _ in queue])
        except BaseException as error:
            for _, future in queue:
                if not future.done():
                    future.set_exception(ConnectionError(str(error) or type(error).__name__))
            if not isinstance(error, Exception):
                raise
            return
        for (_, future), reply in zip(queue, replies, strict=True):
            if future.done():
                continue
            if isinstance(reply, ResponseError):
                future.set_exception(reply)
            else:
                future.set_result(reply)

    async def close(self) -> None:
        await self._link.close()
