"""Following an execution over lost connections."""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import pytest
from aiohttp import web
from scripted_api import scripted_api

from kwe import Client, errors


def frame(sequence: int, kind: str = "task.created") -> bytes:
    type = f"io.serverlessworkflow.{kind}.v1"
    event = {
        "specversion": "1.0",
        "id": f"e1/{sequence}",
        "type": type,
        "source": "/a/b/1.0.0",
        "subject": "e1",
        "sequence": sequence,
        "time": "2026-01-01T00:00:00Z",
        "data": {},
    }
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, type.encode(), orjson.dumps(event))


def streaming(*parts: bytes) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Writes the parts and ends the connection."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    return respond


async def sequences(url: str, after: int = 0) -> list[int | None]:
    async with Client(url, "key", patience=5) as client:
        return [event.sequence async for event in client.stream("e1", after=after)]


async def test_a_lost_connection_goes_on_after_the_last_event() -> None:
    first = streaming(b"retry: 1\nid: 0\n\n", frame(1), frame(2))
    second = streaming(frame(3), frame(4, "workflow.completed"))
    async with scripted_api(first, second) as api:
        assert await sequences(api.url) == [1, 2, 3, 4]
        assert api.requests[1].headers["Last-Event-ID"] == "2"


async def test_events_that_come_twice_are_given_once() -> None:
    first = streaming(b"retry: 1\n\n", frame(1), frame(2))
    second = streaming(frame(1), frame(2), frame(3, "workflow.faulted"))
    async with scripted_api(first, second) as api:
        assert await sequences(api.url) == [1, 2, 3]


async def test_the_stream_ends_when_nothing_follows() -> None:
    async def nothing(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=204)

    async with scripted_api(nothing) as api:
        assert await sequences(api.url, after=9) == []
        assert api.requests[0].headers["Last-Event-ID"] == "9"


async def test_deltas_come_between_events() -> None:
    delta = b'event: task.delta\ndata: {"text": "Hel"}\n\n'
    ended = streaming(frame(1), delta, frame(2, "workflow.completed"))
    async with scripted_api(ended) as api, Client(api.url, "key") as client:
        kinds = [event.kind async for event in client.stream("e1")]
    assert kinds == ["task.created", "task.delta", "workflow.completed"]


async def test_an_unknown_execution_is_an_error_at_once() -> None:
    missing = (404, {"code": "execution_not_found", "detail": "There is none."})
    async with scripted_api(missing) as api:
        with pytest.raises(errors.NotFound, match="There is none"):
            await sequences(api.url)
        assert len(api.requests) == 1


async def test_waiting_has_a_limit() -> None:
    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        while request.transport is not None and not request.transport.is_closing():
            await response.write(b": still here\n\n")
            await asyncio.sleep(0.02)
        return response

    async with scripted_api(silent) as api, Client(api.url, "key") as client:
        with pytest.raises(errors.TimedOut, match="it goes on"):
            await client.wait("e1", timeout=0.1)
