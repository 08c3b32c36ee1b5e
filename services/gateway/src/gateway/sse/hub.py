"""The feeds of this process: opened for the first listener, closed a while after the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from common.errors import Unavailable
from common.streams import names
from common.streams.connection import REDIS_ERRORS
from gateway.redis_calls import Calls
from gateway.sse.feed import Feed, FeedFactory

LINGER_SECONDS: Final = 10.0
FEEDS_MAX: Final = 256
STREAMS_MAX: Final = 2000
READY_SECONDS: Final = 1.0


class Hub:
    def __init__(self, new_feed: FeedFactory, calls: Calls) -> None:
        self._new_feed = new_feed
        self._calls = calls
        self._feeds: dict[str, tuple[Feed, asyncio.Task[None]]] = {}
        self._users: dict[str, int] = {}
        self._streams = 0
        self.closing = asyncio.Event()
        """Set when the process drains: streams end, and clients resume elsewhere."""

    @asynccontextmanager
    async def feed(self, organization_id: UUID) -> AsyncGenerator[Feed]:
        """The organisation's feed, read for as long as somebody uses it. Waits a moment for it to be ready."""
        key = str(organization_id)
        feed = self._opened(key)
        self._users[key] = self._users.get(key, 0) + 1
        try:
            if not feed.ready.is_set():
                await _wait_briefly(feed.ready)
            yield feed
        finally:
            self._users[key] -= 1
            if self._users[key] == 0:
                asyncio.get_running_loop().call_later(LINGER_SECONDS, self._close_unused, key)

    @asynccontextmanager
    async def stream_slot(self) -> AsyncGenerator[None]:
        """Room for one more event stream of a client."""
        if self._streams >= STREAMS_MAX:
            raise Unavailable(
                f"This gateway already serves {STREAMS_MAX} event streams.",
                code="too_many_streams",
                retry_after=5,
            )
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    async def generation(self) -> str:
        """Which contents of Redis the stream ids belong to. Raises `Unavailable`."""
        try:
            value = await self._calls.call(b"GET", names.GENERATION_KEY)
        except REDIS_ERRORS as error:
            raise Unavailable("Redis cannot be reached.", code="streams_unavailable") from error
        return value.decode() if value is not None else "none"

    async def close(self) -> None:
        self.closing.set()
        for key in list(self._feeds):
            self._close(key)

    def _opened(self, key: str) -> Feed:
        found = self._feeds.get(key)
        if found is not None:
            return found[0]
        if len(self._feeds) >= FEEDS_MAX:
            raise Unavailable(
                f"This gateway already follows {FEEDS_MAX} organisations.",
                code="too_many_streams",
                retry_after=5,
            )
        feed = self._new_feed(key)
        task = asyncio.get_running_loop().create_task(_read(feed), name=f"feed {key}")
        self._feeds[key] = (feed, task)
        return feed

    def _close_unused(self, key: str) -> None:
        if self._users.get(key) == 0:
            self._close(key)

    def _close(self, key: str) -> None:
        self._users.pop(key, None) if not self._users.get(key) else None
        found = self._feeds.pop(key, None)
        if found is not None:
            found[1].cancel()


async def _read(feed: Feed) -> None:
    try:
        await feed.run()
    finally:
        await feed.close()


async def _wait_briefly(ready: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await ready.wait()
    except TimeoutError:
        pass  # Redis is away. Listeners look into PostgreSQL from time to time, and are woken when it is back.
