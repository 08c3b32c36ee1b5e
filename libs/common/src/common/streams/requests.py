"""Asking the owner of something and waiting for its answer on a reply stream of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import structlog

from common.contracts.base import Request, encode
from common.contracts.replies import Reply
from common.contracts.wire import Unreadable, decode_reply
from common.errors import OutcomeUnknown, Unavailable
from common.lifecycle import background
from common.streams import names
from common.streams.connection import REDIS_ERRORS, Link, NeverConnected
from common.streams.publisher import REPLIES_TTL_MS, Outgoing, Publisher

log = structlog.get_logger()

BLOCK_MS = 5_000


class Requester:
    """Sends requests and matches replies by `request_id`. One reply stream per instance, read from its end."""

    def __init__(self, publisher: Publisher, reader: Link, *, instance: str) -> None:
        self._publisher = publisher
        self._reader = reader
        self.stream = names.replies(instance)
        self._waiting: dict[UUID, asyncio.Future[Reply]] = {}
        self._last_id = b"0"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read replies for as long as the block lasts."""
        async with background(self._read_forever()):
            yield

    async def ask(self, request: Request, stream: str, *, timeout_s: float) -> Reply:
        """Publish `request` to `stream` and wait for its reply.

        Raises `Unavailable` when it certainly was not sent, `OutcomeUnknown` when it may have been and no answer
        came in time. The reply itself may be a refusal: look at its `status`.
        """
        deadline_ms = int((time.time() + timeout_s) * 1000)
        addressed = request.model_copy(update={"reply_to": self.stream, "deadline_ms": deadline_ms})
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.message_id] = future
        try:
            await self._send(addressed, stream)
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError as error:
            raise OutcomeUnknown("The request was sent, but no answer came in time.") from error
        finally:
            self._waiting.pop(request.message_id, None)

    async def _send(self, request: Request, stream: str) -> None:
        try:
            await self._publisher.publish([Outgoing(stream, encode(request))])
        except NeverConnected as error:
            raise Unavailable("Redis is away; nothing was sent.", retry_after=1) from error
        except REDIS_ERRORS as error:
            # Cut in the middle: the entry may be there.
            raise OutcomeUnknown("Redis went away while the request was sent.") from error

    async def _read_forever(self) -> None:
        pause_s = 0.05
        while True:
            try:
                await self._read_once()
                pause_s = 0.05
            except REDIS_ERRORS as error:
                log.warning("replies_unreadable", error=str(error) or type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 1.0)
                # A new Redis counts its ids afresh; replies to live requests are all newer than nothing.
                self._last_id = b"0"

    async def _read_once(self) -> None:
        reply = await self._reader.call(
            b"XREAD", b"COUNT", 500, b"BLOCK", BLOCK_MS, b"STREAMS", self.stream, self._last_id
        )
        if not reply:
            await self._reader.call(b"PEXPIRE", self.stream, REPLIES_TTL_MS)
            return
        entries: list[Any] = reply[0][1]
        self._last_id = entries[-1][0]
        for _, fields in entries:
            self._deliver(fields[1])
        # Read is done with: the stream stays short, and expires when this process is gone.
        await self._reader.pipeline(
            [
                (b"XTRIM", self.stream, b"MINID", self._last_id),
                (b"PEXPIRE", self.stream, REPLIES_TTL_MS),
            ]
        )

    def _deliver(self, raw: bytes) -> None:
        try:
            reply = decode_reply(raw)
        except Unreadable as error:
            log.error("reply_unreadable", error=str(error))
            return
        future = self._waiting.get(reply.request_id)
        if future is not None and not future.done():
            future.set_result(reply)
