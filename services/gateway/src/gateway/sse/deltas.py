"""Token deltas: what a model says while it says it. Never durable, and dropped for a client that is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
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
    """One pub/sub connection of the process, subscribed to the executions that somebody looks at."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._listeners: dict[str, set[Listener]] = {}
        self._pubsub: PubSub | None = None
        self._wanted = asyncio.Event()

    @asynccontextmanager
    async def listen(self, execution_id: str, more: asyncio.Event) -> AsyncGenerator[Listener]:
        channel = names.deltas(execution_id)
        listener = Listener(more)
        self._listeners.setdefault(channel, set()).add(listener)
        self._wanted.set()
        await self._tell("subscribe", channel)
        try:
            yield listener
        finally:
            listeners = self._listeners[channel]
            listeners.discard(listener)
            if not listeners:
                del self._listeners[channel]
                await self._tell("unsubscribe", channel)

    async def run(self) -> None:
        """Deliver for ever; without listeners there is no connection."""
        while True:
            await self._wanted.wait()
            try:
                await self._deliver()
            except REDIS_ERRORS as error:
                log.info("deltas_interrupted", error=str(error) or type(error).__name__)
                await asyncio.sleep(PAUSE_SECONDS)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _deliver(self) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.connect()
            # From here on whoever comes subscribes by himself; those who are here already are subscribed now.
            self._pubsub = pubsub
            try:
                if self._listeners:
                    await pubsub.subscribe(*self._listeners)
                while self._listeners:
                    message = await pubsub.get_message(
                        ignore_subscribe_messages=True, timeout=POLL_SECONDS
                    )
                    if message is not None:
                        self._hand_out(message)
                self._wanted.clear()
            finally:
                self._pubsub = None

    def _hand_out(self, message: dict[str, Any]) -> None:
        for listener in self._listeners.get(message["channel"].decode(), ()):
            listener.put(message["data"])

    async def _tell(self, action: str, channel: str) -> None:
        if self._pubsub is None:
            return  # on connecting, everything that is listened to is subscribed
        try:
            await getattr(self._pubsub, action)(channel)
        except REDIS_ERRORS:
            log.debug("deltas_not_changed", action=action)
