"""Reading streams as a member of a consumer group: the delivery rules, in one place.

- Groups are created at id 0, so that what was published before the first start is delivered.
- After a start, one's own pending entries come first.
- Entries of members that are gone are claimed once they have been idle for `claim_idle_ms`.
- A missing group or stream means that Redis was lost: it is created again and the owner is told.
- Nothing is acknowledged here; the caller does it after its commit, together with XDEL.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import structlog
from redis.exceptions import ResponseError

from common.metrics import STREAM_CLAIMED, STREAM_ENTRIES, STREAM_ERRORS
from common.streams.connection import REDIS_ERRORS, Link

log = structlog.get_logger()

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 2.0

CLAIM_ROUNDS_MAX = 100
"""How often one read looks on for abandoned entries: each time ten times as many are looked at as are asked for."""


class Entry(NamedTuple):
    """One delivered stream entry. A tuple, because thousands are made a second."""

    stream: str
    id: bytes
    raw: bytes
    claimed: bool = False
    """Taken over from another consumer."""

    deliveries: int = 1
    """How often it was delivered, this time included; more than once after a crash or a take-over."""


async def ensure_groups(link: Link, streams: Sequence[str], group: str) -> bool:
    """Create the group at 0 on every stream; whether any had to be created."""
    replies = await link.pipeline(
        [(b"XGROUP", b"CREATE", stream, group, b"0", b"MKSTREAM") for stream in streams]
    )
    for reply in replies:
        if isinstance(reply, ResponseError) and "BUSYGROUP" not in str(reply):
            raise reply
    return any(not isinstance(reply, ResponseError) for reply in replies)


class GroupReader:
    """Reads new entries, own pending ones first, and claims what others left behind."""

    def __init__(
        self,
        link: Link,
        streams: Sequence[str],
        *,
        group: str,
        consumer: str,
        claim_idle_ms: int,
        block_ms: int = 2000,
        on_lost: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._link = link
        self._streams = tuple(streams)
        self._group = group
        self._consumer = consumer
        self._claim_idle_ms = claim_idle_ms
        self._block_ms = block_ms
        self._on_lost = on_lost
        self._pending_from = dict.fromkeys(self._streams, b"0")
        """Where to go on among one's own pending entries; streams leave it when they have no more."""
        self._next_claim_at = time.monotonic() + random.uniform(0, claim_idle_ms / 1000)  # noqa: S311
        self._claim_from: dict[str, bytes] = {}
        """Where to go on looking for abandoned entries; streams leave it when they were looked through."""
        self._backoff_s = BACKOFF_FIRST_S
        self._ready = False
        self._read_of = {stream: STREAM_ENTRIES.labels(stream=stream) for stream in self._streams}

    @property
    def streams(self) -> tuple[str, ...]:
        return self._streams

    async def read(self, count: int) -> list[Entry]:
        """The next entries, at most `count` for each stream; empty after `block_ms` or a failure.

        Never raises for Redis being away: it waits with jittered backoff and returns nothing.
        """
        try:
            entries = await self._read(count)
        except ResponseError as error:
            await self._answered_with_error(error)
            return []
        except REDIS_ERRORS as error:
            self._ready = False
            log.warning("stream_read_failed", error=str(error) or type(error).__name__)
            STREAM_ERRORS.labels(operation="read").inc()
            await self._pause()
            return []
        self._backoff_s = BACKOFF_FIRST_S
        self._count(entries)
        return entries

    def _count(self, entries: Sequence[Entry]) -> None:
        for stream, count in Counter(entry.stream for entry in entries).items():
            self._read_of[stream].inc(count)
        for stream, count in Counter(entry.stream for entry in entries if entry.claimed).items():
            STREAM_CLAIMED.labels(stream=stream).inc(count)

    def reread_pending(self) -> None:
        """Deliver one's own unacknowledged entries once more, after a failure to handle them."""
        self._pending_from = dict.fromkeys(self._streams, b"0")

    async def _read(self, count: int) -> list[Entry]:
        if not self._ready:
            created = await ensure_groups(self._link, self._streams, self._group)
            self._ready = True
            self._pending_from = dict.fromkeys(self._streams, b"0")
            if created and self._on_lost is not None:
                await self._on_lost()
        if self._pending_from:
            entries = await self._read_pending(count)
            if entries:
                return entries
        if time.monotonic() >= self._next_claim_at:
            claimed = await self._claim(count)
            if claimed:
                return claimed
        return await self._read_new(count)

    async def _read_pending(self, count: int) -> list[Entry]:
        streams = list(self._pending_from)
        reply = await self._link.call(
            b"XREADGROUP", b"GROUP", self._group, self._consumer, b"COUNT", count,
            b"STREAMS", *streams, *self._pending_from.values(),
        )  # fmt: skip
        entries = _entries(reply)
        last = {entry.stream: entry.id for entry in entries}
        self._pending_from = {stream: last[stream] for stream in streams if stream in last}
        return await self._counted([entry for entry in entries if entry.raw])

    async def _counted(self, entries: list[Entry]) -> list[Entry]:
        """The entries with how often they were delivered, which a plain read does not say."""
        counts: dict[tuple[str, bytes], int] = {}
        for stream in {entry.stream for entry in entries}:
            ids = [entry.id for entry in entries if entry.stream == stream]
            rows = await self._link.call(
                b"XPENDING", stream, self._group, ids[0], ids[-1], len(ids) * 2, self._consumer
            )
            counts |= {(stream, row[0]): row[3] for row in rows}
        return [
            entry._replace(deliveries=counts.get((entry.stream, entry.id), 2)) for entry in entries
        ]

    async def _read_new(self, count: int) -> list[Entry]:
        reply = await self._link.call(
            b"XREADGROUP", b"GROUP", self._group, self._consumer, b"COUNT", count,
            b"BLOCK", self._block_ms, b"STREAMS", *self._streams, *([b">"] * len(self._streams)),
        )  # fmt: skip
        return _entries(reply)

    async def _claim(self, count: int) -> list[Entry]:
        """Entries that others left behind. They may lie behind any number of entries that are at work."""
        self._claim_from = self._claim_from or dict.fromkeys(self._streams, b"0-0")
        for _ in range(CLAIM_ROUNDS_MAX):
            claimed = await self._claim_next(count)
            if claimed:
                break  # There may be more: the next read goes on.
            if not self._claim_from:
                self._next_claim_at = time.monotonic() + self._claim_idle_ms / 2000
                break
        return await self._counted(claimed)

    async def _claim_next(self, count: int) -> list[Entry]:
        streams = list(self._claim_from)
        replies = await self._link.pipeline(
            [
                (b"XAUTOCLAIM", stream, self._group, self._consumer, self._claim_idle_ms,
                 self._claim_from[stream], b"COUNT", count)
                for stream in streams
            ]
        )  # fmt: skip
        claimed: list[Entry] = []
        for stream, reply in zip(streams, replies, strict=True):
            if isinstance(reply, ResponseError):
                raise reply
            if reply[0] == b"0-0":
                del self._claim_from[stream]
            else:
                self._claim_from[stream] = reply[0]
            claimed.extend(
                Entry(stream, entry_id, fields[1], claimed=True)
                for entry_id, fields in reply[1]
                if fields
            )
        return claimed

    async def _answered_with_error(self, error: ResponseError) -> None:
        self._ready = False
        if "NOGROUP" not in str(error) and "UNBLOCKED" not in str(error):
            log.warning("stream_read_refused", error=str(error))
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self._backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
        self._backoff_s = min(self._backoff_s * 2, BACKOFF_MAX_S)


def _entries(reply: Any) -> list[Entry]:
    if not reply:
        return []
    return [
        # A pending entry that was deleted meanwhile has no fields.
        Entry(name.decode(), entry_id, fields[1] if fields else b"")
        for name, items in reply
        for entry_id, fields in items
    ]
