"""Token deltas: what a model says while it says it. Never durable, and dropped for a client that is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from common.logs import get_logger
from common.streams import names
from common.streams.connection import REDIS_ERRORS

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

log = get_logger(__name__)

BUFFER_DELTAS: Final = 256
PAUSE_SECONDS: Final = 1.0
POLL_SECONDS: Final = 30.0


class Listener:
    """What one client has not taken yet, oldest dropped first."""

    __slots__ = ("_deltas", "more")

    def __init__(self, more: asyncio.Event) -> None:
        self._deltas: deque[bytes] = deque(maxlen=BUFFER_DELTAS)
        self.more = more

    def put(self, delta: bytes) -> None:
        self._deltas.append(delta)
        self.more.set()

    def take(self) -> list[bytes]:
        taken = list(self._deltas)
        self._deltas.clear()
        return taken


class Deltas:
    """One pub/sub connection of the process, subscribed to the executions that somebody looks at.

    Clients only say what they want; one task changes the subscriptions and closes the connection, so that none of it
    can meet the other in the middle. After any trouble it begins again from what is wanted then.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, set[Listener]] = {}
        self._changed = asyncio.Event()

    @contextmanager
    def listen(self, execution_id: str, more: asyncio.Event) -> Iterator[Listener]:
        """Deltas of an execution from about now on; `more` is set whenever there are some."""
        channel = names.deltas(execution_id)
        listener = Listener(more)
        self._listeners.setdefault(channel, set()).add(listener)
        self._changed.set()
        try:
            yield listener
        finally:
            listeners = self._listeners[channel]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[channel]
                self._changed.set()

    async def run(self) -> None:
        """Deliver for ever; without listeners there is no connection."""
        while True:
            await self._changed.wait()
            if not self._listeners:
                self._changed.clear()
                continue
            try:
                async with self._redis.pubsub() as pubsub:
                    await self._deliver(pubsub)
            except (*REDIS_ERRORS, AttributeError) as error:
                # AttributeError: what redis-py raises for a command on a connection that its reader is just dropping.
                log.info("deltas_interrupted", error=str(error) or type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _deliver(self, pubsub: PubSub) -> None:
        """Returns when nobody listens any more."""
        reading: asyncio.Task[None] | None = None
        try:
            while self._listeners:
                self._changed.clear()
                await self._subscribe(pubsub)
                reading = reading or asyncio.create_task(self._read(pubsub))
                await _either(self._changed, reading)
        finally:
            if reading is not None:
                await _cancelled(reading)

    async def _subscribe(self, pubsub: PubSub) -> None:
        wanted = set(self._listeners)
        present = {channel.decode() for channel in pubsub.channels}
        if new := wanted - present:
            await pubsub.subscribe(*new)
        if gone := present - wanted:
            await pubsub.unsubscribe(*gone)

    async def _read(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=POLL_SECONDS)
            if message is not None:
                self._hand_out(message)

    def _hand_out(self, message: dict[str, Any]) -> None:
        for listener in self._listeners.get(message["channel"].decode(), ()):
            listener.put(message["data"])


async def _either(changed: asyncio.Event, reading: asyncio.Task[None]) -> None:
    """Wait for a change; raise what ended the reading, if that comes first."""
    change = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait([change, reading], return_when=asyncio.FIRST_COMPLETED)
    finally:
        change.cancel()
    if reading.done():
        reading.result()


async def _cancelled(task: asyncio.Task[None]) -> None:
    while not task.done():
        task.cancel()
        # Asked again until it obeys: a library may swallow a cancellation that meets the end of its own wait.
        await asyncio.wait([task], timeout=0.5)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody complains about it
