"""Hearing at once that a running task was cancelled. Only a shortcut: the next refresh would find it anyway."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from common.logs import get_logger
from common.streams import names
from common.streams.connection import REDIS_ERRORS

log = get_logger(__name__)

BACKOFF_FIRST_S: Final = 0.2
BACKOFF_MAX_S: Final = 5.0


async def listen_for_cancels(redis_url: str, on_cancel: Mapping[str, Callable[[], None]]) -> None:
    """Call the function of a queue whenever one of its tasks was cancelled. Never returns, never raises."""
    backoff_s = BACKOFF_FIRST_S
    while True:
        redis: Redis = Redis.from_url(
            redis_url, socket_timeout=None, socket_keepalive=True, retry=Retry(NoBackoff(), 0)
        )
        try:
            await _listen(redis, on_cancel)
        except REDIS_ERRORS as error:
            log.info("cancel_nudges_interrupted", error=type(error).__name__)
        finally:
            await redis.aclose()
        await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
        backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)


async def _listen(redis: Redis, on_cancel: Mapping[str, Callable[[], None]]) -> None:
    channels = {names.cancel_channel(queue).encode(): call for queue, call in on_cancel.items()}
    async with redis.pubsub() as pubsub:
        await pubsub.subscribe(*channels)
        # What was cancelled while nobody listened shows in the first refresh.
        for call in channels.values():
            call()
        while True:
            message: Any = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
            if message is not None and message["channel"] in channels:
                channels[message["channel"]]()
