"""The organisation's events as a stream, from now on or from a cursor.

The cursor is `{generation}:{stream id}`. Stream ids mean something only within one generation of Redis's contents, and
only as far back as the stream reaches. A cursor that is of no use any more is answered with a `reset` event: where the
stream goes on from, and since when events may be missing here; `GET /v1/events?after=` has them from PostgreSQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from common.errors import Unavailable
from common.streams.connection import REDIS_ERRORS
from gateway.sse.entries import FeedEntry, is_stream_id, position
from gateway.sse.feed import Feed
from gateway.sse.frames import HEARTBEAT, HEARTBEAT_SECONDS, EventStream, first_of, frame
from gateway.sse.hub import Hub

RESET: Final = "reset"
MARGIN: Final = timedelta(seconds=60)
"""Events are published after their commit; with a sweep in between this much later at the most."""

GENERATION_CHECK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Cursor:
    generation: str
    stream_id: str

    def __str__(self) -> str:
        return f"{self.generation}:{self.stream_id}"

    @property
    def fill_from(self) -> str:
        """An instant from which PostgreSQL has everything that this cursor may have missed."""
        milliseconds, _ = position(self.stream_id)
        instant = datetime.fromtimestamp(min(milliseconds, 4_102_444_800_000) / 1000, UTC)
        return max(instant - MARGIN, datetime.fromtimestamp(0, UTC)).isoformat()


def parse_cursor(text: str) -> Cursor | None:
    """None for what is no cursor of this feed."""
    generation, separator, stream_id = text.rpartition(":")
    if not separator or not generation or not is_stream_id(stream_id):
        return None
    return Cursor(generation, stream_id)


@dataclass(slots=True, kw_only=True)
class OrganizationStream:
    stream: EventStream
    hub: Hub
    feed: Feed
    cursor: Cursor
    """Of the last entry that was written."""

    _checked_at: float = 0.0

    async def begin(self, given: Cursor | None) -> None:
        """Go on from the client's cursor where that is possible, and say so where it is not."""
        if given is None:
            return
        current = self.cursor
        try:
            usable = given.generation == current.generation and not await self.feed.lost_after(
                given.stream_id
            )
        except REDIS_ERRORS:
            usable = False
        if usable:
            self.cursor = given
        else:
            reason = "trimmed" if given.generation == current.generation else "generation"
            await self._reset(reason, since=given)

    async def run(self, more: asyncio.Event, closing: asyncio.Event) -> None:
        while not closing.is_set():
            more.clear()
            await self._write_entries()
            if not await first_of(more, closing, timeout_s=HEARTBEAT_SECONDS):
                await self.stream.write(HEARTBEAT)
                await self._check_generation()

    async def _write_entries(self) -> None:
        while True:
            try:
                entries = await self.feed.entries_after(self.cursor.stream_id)
            except REDIS_ERRORS:
                return  # the feed wakes everybody when Redis is back
            if not entries:
                return
            # Trouble with Redis wakes everybody; only then, and now and then, the generation is looked at.
            await self._check_generation()
            await self.stream.write(b"".join(self._frames(entries)))

    def _frames(self, entries: Iterable[FeedEntry]) -> Iterable[bytes]:
        for entry in entries:
            before, self.cursor = self.cursor, Cursor(self.cursor.generation, entry.id)
            events = list(entry.events())
            for number, event in enumerate(events, start=1):
                # Only the last event of an entry moves the cursor past it: resuming repeats, and never skips.
                cursor = self.cursor if number == len(events) else before
                yield frame(orjson.dumps(event), event=str(event.get("type", "")), id=str(cursor))

    async def _check_generation(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < GENERATION_CHECK_SECONDS:
            return
        self._checked_at = now
        try:
            generation = await self.hub.generation()
        except Unavailable:
            return
        if generation != self.cursor.generation:
            since, self.cursor = self.cursor, Cursor(generation, "0-0")
            await self._reset("generation", since=since)

    async def _reset(self, reason: str, *, since: Cursor) -> None:
        body = {
            "reason": reason,
            "cursor": str(self.cursor),
            "fillFrom": since.fill_from,
            "detail": "Events since fillFrom may be missing here. GET /v1/events?after={fillFrom} has them all.",
        }
        await self.stream.write(frame(orjson.dumps(body), event=RESET, id=str(self.cursor)))
