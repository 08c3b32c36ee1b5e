"""The wire format of server-sent events, and the response that writes it."""

from __future__ import annotations

import asyncio
from typing import Final, Self

from aiohttp import web

from common.metrics import SSE_CONNECTIONS

HEARTBEAT_SECONDS: Final = 15.0
RETRY_MS: Final = 2000
"""How long a client waits before it connects again."""


def frame(data: bytes, *, event: str = "", id: str = "") -> bytes:
    """One event. `data` is JSON as orjson writes it: a single line."""
    assert b"\n" not in data
    head = (f"id: {id}\n" if id else "") + (f"event: {event}\n" if event else "")
    return head.encode() + b"data: " + data + b"\n\n"


def primer(id: str) -> bytes:
    """No event, only the point to resume from and the pause before: so that a connection that is lost before the
    first event resumes too."""
    return f"retry: {RETRY_MS}\nid: {id}\n\n".encode()


HEARTBEAT: Final = b": still here\n\n"


class EventStream:
    """An open answer. Writing waits for a slow client; what it has not taken yet is in no buffer of ours."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache, no-transform",
                "X-Accel-Buffering": "no",
            }
        )

    async def __aenter__(self) -> Self:
        await self._response.prepare(self._request)
        SSE_CONNECTIONS.inc()
        return self

    async def __aexit__(self, *_: object) -> None:
        SSE_CONNECTIONS.dec()

    async def write(self, data: bytes) -> None:
        """Raises `ConnectionResetError` once the client has gone."""
        if data:
            await self._response.write(data)

    async def finish(self) -> web.StreamResponse:
        await self._response.write_eof()
        return self._response

    @property
    def response(self) -> web.StreamResponse:
        return self._response


async def first_of(*events: asyncio.Event, timeout_s: float) -> bool:
    """Wait until one of the events is set; False when none was in time."""
    if any(event.is_set() for event in events):
        return True
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        done, _ = await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)
    finally:
        for wait in waits:
            wait.cancel()
