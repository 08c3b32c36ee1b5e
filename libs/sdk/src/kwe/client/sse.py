"""Server-sent events: from bytes to frames, and over lost connections without a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from kwe.client.transport import PAUSE_MAX_SECONDS, RETRYABLE, Transport, refusal, unreachable

SILENCE_SECONDS_MAX: Final = 45.0
"""The server says something every 15 s; a connection that is silent for longer is dead."""


@dataclass(frozen=True, slots=True)
class Frame:
    event: str
    data: bytes


class FrameParser:
    """Splits a stream of bytes as the HTML standard says. Keeps the last id and the pause to reconnect."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_seconds = 1.0
        self._rest = b""
        self._event = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            frame = self._line(line.rstrip(b"\r"))
            if frame is not None:
                yield frame

    def reset(self) -> None:
        """A new connection: half a frame of the old one is worth nothing."""
        self._rest, self._event, self._data = b"", "", []

    def _line(self, line: bytes) -> Frame | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._event = value.decode()
            case b"id":
                self.last_id = value.decode()
            case b"retry" if value.isdigit():
                self.retry_seconds = int(value) / 1000
        return None

    def _dispatch(self) -> Frame | None:
        frame = Frame(self._event, b"\n".join(self._data)) if self._data else None
        self._event, self._data = "", []
        return frame


async def follow(
    transport: Transport, path: str, *, last_id: str = "", patience_seconds: float
) -> AsyncGenerator[tuple[str, Any], None]:
    """`(event type, data)` of a stream, for ever, or until the server says that nothing follows (204).

    A lost connection is opened again after the last event that arrived. Raises `Unreachable` once that has failed
    for `patience_seconds`, and `ApiError` at once for what repeating cannot mend.
    """
    parser = FrameParser(last_id)
    loop = asyncio.get_running_loop()
    heard_at, pause = loop.time(), 0.1
    while True:
        try:
            async with aclosing(_connection(transport, path, parser)) as frames:
                async for frame in frames:
                    heard_at, pause = loop.time(), 0.1
                    if frame is not None:
                        yield frame.event, orjson.loads(frame.data)
        except StreamOver:
            return
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if loop.time() - heard_at > patience_seconds:
                raise unreachable(transport.url, error) from error
        await asyncio.sleep(min(pause, parser.retry_seconds))
        pause = min(pause * 2, PAUSE_MAX_SECONDS)


class StreamOver(Exception):
    """Everything was delivered."""


async def _connection(
    transport: Transport, path: str, parser: FrameParser
) -> AsyncGenerator[Frame | None, None]:
    """Frames of one connection; None first, when it is open."""
    parser.reset()
    headers: dict[str, str] = {"Accept": "text/event-stream"}
    if parser.last_id:
        headers["Last-Event-ID"] = parser.last_id
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SILENCE_SECONDS_MAX)
    async with transport.session.get(
        transport.url + path, headers=headers, timeout=timeout
    ) as response:
        await _require_stream(response)
        yield None
        async for chunk in response.content.iter_any():
            for frame in parser.feed(chunk):
                yield frame


async def _require_stream(response: aiohttp.ClientResponse) -> None:
    if response.status == 204:
        raise StreamOver
    if response.status < 400:
        return
    content = await response.read()
    try:
        problem: Mapping[str, Any] = orjson.loads(content)
    except orjson.JSONDecodeError:
        problem = {}
    if response.status in RETRYABLE:
        raise aiohttp.ClientConnectionError(problem.get("detail") or f"HTTP {response.status}")
    raise refusal(response.status, problem)
