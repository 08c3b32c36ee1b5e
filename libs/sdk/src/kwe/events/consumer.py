"""The loop of a consumer: read, order, fill, hand on, remember."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self

from kwe.client import Client
from kwe.client.models import Event
from kwe.credentials import find_credentials
from kwe.errors import KweError, NotConfigured, NotFound
from kwe.events.cursor import NO_ENTRY, Cursor, CursorStore
from kwe.events.sequencer import Sequencer, Verdict
from kwe.events.stream import SOCKET_TIMEOUT_SECONDS, EventStream, position

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger("kwe.events")

Handler = Callable[[Event], Awaitable[None]]

MARGIN: Final = timedelta(seconds=60)
"""Events are published after their commit, by a sweep this much later at the most."""

LOOKS: Final = 2
SETTLE_SECONDS: Final = 20.0
"""After a loss the history is read twice: what was committing at the first look is there at the second."""

PAUSE_MAX_SECONDS: Final = 5.0


class EventConsumer:
    def __init__(
        self,
        handler: Handler,
        *,
        redis_url: str,
        organization_id: str,
        client: Client,
        cursor: CursorStore,
        since: datetime | None = None,
    ) -> None:
        """`since` matters without a cursor only: begin with the events from then on, else with new ones.

        An event of an execution whose beginning was not seen brings that beginning with it. What the handler raises
        ends `run`, with the cursor before the event: it comes again.
        """
        self._handler = handler
        self._redis_url = redis_url
        self._organization_id = organization_id
        self._client = client
        self._store = cursor
        self._since = since
        self._cursor = Cursor()
        self._sequencer = Sequencer()
        self._fill_at: float | None = None
        self._looks_left = 0
        self.ready = asyncio.Event()
        """Set once everything that is published from now on will be handled."""

    @classmethod
    def connect(
        cls, handler: Handler, *, cursor: CursorStore, since: datetime | None = None
    ) -> Self:
        """With what the environment says, or a running `kwe up` in this folder."""
        from kwe.local.settings import local_environment

        found = find_credentials()
        redis_url = os.environ.get("REDIS_URL") or local_environment(os.environ).get("REDIS_URL")
        if not redis_url or not found.organization_id:
            raise NotConfigured("set REDIS_URL and KWE_ORGANIZATION_ID, or start `kwe up` here")
        return cls(
            handler,
            redis_url=redis_url,
            organization_id=found.organization_id,
            client=Client(found.url, found.api_key),
            cursor=cursor,
            since=since,
        )

    async def run(self) -> None:
        """Consume until cancelled. Outages of Redis or of the API only delay it."""
        async with AsyncExitStack() as stack:
            redis = _redis(self._redis_url)
            stack.push_async_callback(redis.aclose)
            stack.push_async_callback(self._client.close)
            stream = await self._open(redis)
            pause = 0.1
            while not _is_cancelled():
                try:
                    await self._step(stream)
                    pause = 0.1
                except _reading_errors() as error:
                    log.warning("events cannot be read: %s", error)
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                    pause = min(pause * 2, PAUSE_MAX_SECONDS)
                    # While the stream is away the history goes on, and nobody need wait for the stream.
                    self._plan_filling()

    async def _open(self, redis: Redis) -> EventStream:
        saved = self._store.load()
        if saved is not None:
            self._cursor, self._sequencer = saved, Sequencer(saved.sequences)
        stream = EventStream(redis, self._organization_id, self._cursor)
        if saved is None:
            await _until_done(stream.go_to_end)
            self._cursor.trusted_from = (self._since or datetime.now(UTC)).isoformat()
            if self._since is not None:
                self._plan_filling()
            self._save()
        return stream

    async def _step(self, stream: EventStream) -> None:
        await self._fill_if_due()
        self.ready.set()
        place = self._cursor.place
        batch = await stream.read()
        try:
            for _, events in batch.entries:
                for event in events:
                    await self._take(event)
        except BaseException:
            self._cursor.go_back(place)
            raise
        if batch.is_whole is False:
            log.info("events may be missing in the stream: filling from the history")
            self._plan_filling()
        elif batch.is_whole and self._fill_at is None:
            self._cursor.trusted_from = self._safe_instant()
        if batch.entries or batch.is_whole is False:
            self._save()

    # --- one event ------------------------------------------------------------------------------------------

    async def _take(self, event: Event) -> None:
        match self._sequencer.judge(event):
            case Verdict.NEXT:
                await self._hand_on(event)
            case Verdict.EARLY:
                await self._catch_up(event)
            case Verdict.KNOWN:
                pass

    async def _catch_up(self, event: Event) -> None:
        """Hand on what is missing before `event`, then `event` itself."""
        last = self._sequencer.last(event.execution_id)
        try:
            async with aclosing(self._client.stream(event.execution_id, after=last)) as missing:
                async for one in missing:
                    if one.sequence is None:
                        continue  # a delta
                    await self._hand_on(one)
                    if one.sequence >= (event.sequence or 0):
                        return
        except NotFound:
            log.warning("execution %s has no history any more", event.execution_id)
        await self._hand_on(event)

    async def _hand_on(self, event: Event) -> None:
        try:
            await self._handler(event)
        except Exception as error:
            raise HandlerFailed(f"the handler failed at event {event.id}") from error
        self._sequencer.handed_on(event)

    # --- filling --------------------------------------------------------------------------------------------

    def _plan_filling(self) -> None:
        self._fill_at, self._looks_left = asyncio.get_running_loop().time(), LOOKS

    async def _fill_if_due(self) -> None:
        """Hand on what the stream may lack, from the history."""
        if self._fill_at is None or asyncio.get_running_loop().time() < self._fill_at:
            return
        start = self._cursor.trusted_from or self._safe_instant()
        seen_to = datetime.now(UTC) - MARGIN
        async with aclosing(self._client.past_events(after=start)) as events:
            async for event in events:
                await self._take(event)
        self._cursor.trusted_from = max(seen_to, datetime.fromisoformat(start)).isoformat()
        self._save()
        self._looks_left -= 1
        wait = asyncio.get_running_loop().time() + SETTLE_SECONDS
        self._fill_at = wait if self._looks_left > 0 else None

    def _safe_instant(self) -> str:
        """An instant before which nothing is missing, if the stream had everything up to the cursor."""
        if self._cursor.stream_id == NO_ENTRY:
            return self._cursor.trusted_from or (datetime.now(UTC) - MARGIN).isoformat()
        milliseconds, _ = position(self._cursor.stream_id)
        return (datetime.fromtimestamp(milliseconds / 1000, UTC) - MARGIN).isoformat()

    def _save(self) -> None:
        self._cursor.sequences = self._sequencer.sequences
        self._store.save(self._cursor)


class HandlerFailed(Exception):
    """The consumer's own handler raised; its error is the cause."""


def _is_cancelled() -> bool:
    """A library may have swallowed the cancellation: `asyncio.wait_for` of Python 3.11 sometimes does."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _until_done(work: Callable[[], Awaitable[None]]) -> None:
    """Redis may be away when the consumer starts."""
    pause = 0.1
    while True:
        try:
            return await work()
        except _redis_errors() as error:
            log.warning("the stream cannot be reached: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_MAX_SECONDS)


def _redis(url: str) -> Redis:
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise NotConfigured("consuming events needs redis-py: install kwe-sdk[events]") from error
    # This loop repeats what failed; the client must neither repeat nor give up on a blocking read.
    return Redis.from_url(
        url, socket_timeout=SOCKET_TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0), protocol=2
    )


def _reading_errors() -> tuple[type[Exception], ...]:
    return (*_redis_errors(), KweError)


def _redis_errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return (RedisError, OSError, TimeoutError)
