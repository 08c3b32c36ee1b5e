"""One reader per organisation's stream and process, however many clients listen.

Theory of operation
-------------------
The reader keeps the last entries in a ring and wakes whoever watches. Nobody has a buffer: a listener keeps the id of the
last entry it wrote and takes what follows from the ring, or from Redis itself once the ring has moved past it. So a
slow client costs nothing but its connection.

Watchers of one execution only want to be woken; they read the history by its sequence, which is the truth. After any
trouble with Redis everybody is woken, because what happened meanwhile is not known here.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from redis.exceptions import ResponseError

from common.logs import get_logger
from common.streams import names
from common.streams.connection import REDIS_ERRORS, Link
from gateway.redis_calls import Calls
from gateway.sse.entries import FeedEntry, entries_of, position

log = get_logger(__name__)

BLOCK_MS: Final = 5000
READ_COUNT: Final = 200
RING_ENTRIES: Final = 512
RING_BYTES: Final = 4 * 1024 * 1024
PAUSE_MAX_SECONDS: Final = 1.0


class Watch:
    """Woken when the execution has moved."""

    __slots__ = ("ended", "woken")

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.ended = asyncio.Event()
        """Set when it may have finished, and after trouble with Redis."""


class Feed:
    """The stream of one organisation."""

    def __init__(self, organization_id: str, link: Link, calls: Calls) -> None:
        self._stream = names.events(organization_id)
        self._link = link
        self._calls = calls
        self._last_id = "0-0"
        self._ring: deque[FeedEntry] = deque()
        self._ring_bytes = 0
        self._ring_begins_after = "0-0"
        self._watches: dict[str, set[Watch]] = {}
        self._tails: set[asyncio.Event] = set()
        self._pause_s = 0.05
        self.ready = asyncio.Event()
        """Set while everything that is published from now on is noticed."""

    @property
    def is_used(self) -> bool:
        return bool(self._watches or self._tails)

    @property
    def last_id(self) -> str:
        return self._last_id

    # --- listening ------------------------------------------------------------------------------------------

    @contextmanager
    def watch(self, execution_id: str) -> Iterator[Watch]:
        watch = Watch()
        self._watches.setdefault(execution_id, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[execution_id]
            watches.discard(watch)
            if not watches:
                del self._watches[execution_id]

    @contextmanager
    def tail(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be entries after the last one taken."""
        more = asyncio.Event()
        self._tails.add(more)
        try:
            yield more
        finally:
            self._tails.discard(more)

    async def entries_after(self, stream_id: str) -> list[FeedEntry]:
        """What follows, from the ring where it reaches back that far. Raises `REDIS_ERRORS`."""
        after = position(stream_id)
        if after >= position(self._ring_begins_after):
            return [entry for entry in self._ring if position(entry.id) > after][:READ_COUNT]
        rows = await self._calls.call(
            b"XRANGE", self._stream, f"({stream_id}", b"+", b"COUNT", READ_COUNT
        )
        return entries_of(rows)

    async def lost_after(self, stream_id: str) -> bool:
        """Whether entries after this one may have been trimmed. Raises `REDIS_ERRORS`."""
        try:
            reply = await self._calls.call(b"XINFO", b"STREAM", self._stream)
        except ResponseError:  # no such stream: nothing was ever published, or all of it is gone
            return stream_id != "0-0"
        facts = {reply[i].decode(): reply[i + 1] for i in range(0, len(reply), 2)}
        first = facts.get("first-entry")
        begins = first[0].decode() if first else facts["last-generated-id"].decode()
        if position(begins) <= position(stream_id):
            return False
        # The entry itself is gone. Nothing is missing only if nothing was ever taken from the stream.
        return bool(facts["entries-added"] != facts["length"])

    # --- reading --------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Read for ever. Never fails: while Redis is away it asks again, more and more seldom."""
        while True:
            try:
                if not self.ready.is_set():
                    await self._begin()
                await self._read()
                self._pause_s = 0.05
            except REDIS_ERRORS as error:
                if self.ready.is_set():
                    log.warning("feed_unreadable", error=str(error) or type(error).__name__)
                self.ready.clear()
                await asyncio.sleep(self._pause_s * random.uniform(0.5, 1))  # noqa: S311
                self._pause_s = min(self._pause_s * 2, PAUSE_MAX_SECONDS)

    async def close(self) -> None:
        await self._link.close()

    async def _begin(self) -> None:
        rows = await self._link.call(b"XREVRANGE", self._stream, b"+", b"-", b"COUNT", 1)
        self._last_id = rows[0][0].decode() if rows else "0-0"
        self._ring.clear()
        self._ring_bytes = 0
        self._ring_begins_after = self._last_id
        self.ready.set()
        self._wake_everybody()

    async def _read(self) -> None:
        reply: Any = await self._link.call(
            b"XREAD",
            b"COUNT",
            READ_COUNT,
            b"BLOCK",
            BLOCK_MS,
            b"STREAMS",
            self._stream,
            self._last_id,
        )
        if not reply:
            await self._notice_loss()
            return
        for entry in entries_of(reply[0][1]):
            self._keep(entry)
            self._wake_watches(entry)
        self._last_id = reply[0][1][-1][0].decode()
        for more in self._tails:
            more.set()

    async def _notice_loss(self) -> None:
        # After a flush ids may begin again below ours; then we would wait for ever.
        rows = await self._link.call(b"XREVRANGE", self._stream, b"+", b"-", b"COUNT", 1)
        if rows and position(rows[0][0].decode()) < position(self._last_id):
            self.ready.clear()

    def _keep(self, entry: FeedEntry) -> None:
        self._ring.append(entry)
        self._ring_bytes += len(entry.raw)
        while len(self._ring) > RING_ENTRIES or self._ring_bytes > RING_BYTES:
            oldest = self._ring.popleft()
            self._ring_bytes -= len(oldest.raw)
            self._ring_begins_after = oldest.id

    def _wake_watches(self, entry: FeedEntry) -> None:
        if not self._watches:
            return
        watches = self._watches.get(entry.execution_id() or "")
        if not watches:
            return
        ends = entry.may_be_an_end()
        for watch in watches:
            watch.woken.set()
            if ends:
                watch.ended.set()

    def _wake_everybody(self) -> None:
        for watches in self._watches.values():
            for watch in watches:
                watch.woken.set()
                watch.ended.set()
        for more in self._tails:
            more.set()


FeedFactory = Callable[[str], Feed]
