"""The organisation's events: as a stream from now on, or as pages from PostgreSQL that fill any gap."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson
from aiohttp import web
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from common.contracts.arrivals import PublishEvents
from common.contracts.base import INLINE_INPUT_BYTES_MAX
from common.errors import InvalidRequest, Violation
from common.ids import uuid7
from common.security import Scope
from common.telemetry import current_traceparent
from gateway.answers import json_answer
from gateway.cloud_events import BATCH, STRUCTURED, read_events
from gateway.cursors import decode_cursor, encode_cursor
from gateway.models.events import EventsPage, EventsQuery, GivenEvent, KeptEvents
from gateway.reads.history import FeedPosition, FeedWalk, read_feed
from gateway.route import Answer, Call, Route
from gateway.routes.answers import INVALID, UNREADABLE, UNSUPPORTED, answers, ok
from gateway.sse.frames import EventStream, primer
from gateway.sse.organization_stream import Cursor, OrganizationStream, parse_cursor

_KIND: Final = "events"
_INSTANT: Final = TypeAdapter(AwareDatetime)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DEFAULT_SPAN: Final = timedelta(hours=1)
_STREAM: Final = "text/event-stream"


async def events(call: Call) -> web.StreamResponse:
    if _STREAM in call.request.headers.get("Accept", ""):
        return await _stream(call)
    return await _page(call)


async def publish(call: Call) -> web.Response:
    depth_max = call.gateway.settings.max_json_depth
    found = read_events(call.request.headers, await call.raw_body(), depth_max=depth_max)
    if not found:
        return json_answer({"accepted": 0, "known": 0}, status=202)
    raw = orjson.dumps(found)
    if len(raw) <= INLINE_INPUT_BYTES_MAX:
        carried: dict[str, Any] = {"events": found}
    else:
        reference = await call.gateway.payloads.store(call.organization_id, uuid7(), raw)
        carried = {"events_ref": reference}
    reply = await call.gateway.owners.command(
        PublishEvents(
            organization_id=call.organization_id, traceparent=current_traceparent(), **carried
        )
    )
    return json_answer(reply.body, status=202)


async def _stream(call: Call) -> web.StreamResponse:
    given = _given_cursor(call)
    hub = call.gateway.hub
    generation = await hub.generation()
    async with hub.stream_slot(), hub.feed(call.organization_id) as feed:
        with feed.tail() as more:
            async with EventStream(call.request) as stream:
                following = OrganizationStream(
                    stream=stream, hub=hub, feed=feed, cursor=Cursor(generation, feed.last_id)
                )
                await stream.write(primer(str(given or following.cursor)))
                await following.begin(given)
                await following.run(more, hub.closing)
                return await stream.finish()


async def _page(call: Call) -> web.Response:
    query = call.query(EventsQuery)
    items, walk, more = await read_feed(
        call.gateway.database, call.organization_id, _walk(query.after), query.limit
    )
    return json_answer({"items": items, "nextAfter": _encoded(walk), "more": more})


def _given_cursor(call: Call) -> Cursor | None:
    text = call.request.headers.get("Last-Event-ID") or call.query(EventsQuery).after
    if not text:
        return None
    cursor = parse_cursor(text)
    if cursor is None:
        raise _unusable("must be the id of an event of this stream")
    return cursor


def _walk(after: str | None) -> FeedWalk:
    """Accepts what a consumer has at hand: an instant, a cursor of the stream, or the page before."""
    if after is None:
        return _since(datetime.now(UTC) - DEFAULT_SPAN)
    cursor = parse_cursor(after)
    if cursor is not None:
        return _since(datetime.fromisoformat(cursor.fill_from))
    try:
        return _since(_INSTANT.validate_python(after))
    except ValidationError:
        pass
    try:
        parts = decode_cursor(_KIND, after, types=[int, str, int, int, str, int])
        return FeedWalk(_decoded(parts[:3]), _decoded(parts[3:]))
    except (InvalidRequest, ValueError, OverflowError):
        raise _unusable("must be an instant, the id of an event, or nextAfter of a page") from None


def _since(instant: datetime) -> FeedWalk:
    return FeedWalk.beginning_after(FeedPosition(max(instant, _EPOCH)))


def _encoded(walk: FeedWalk) -> str:
    return encode_cursor(_KIND, [*_parts(walk.position), *_parts(walk.settled)])


def _parts(position: FeedPosition) -> tuple[int, str, int]:
    microseconds = (position.at - _EPOCH) // timedelta(microseconds=1)
    return microseconds, str(position.execution_id), position.sequence_from


def _decoded(parts: Sequence[str | int]) -> FeedPosition:
    at, execution_id, sequence_from = parts
    instant = _EPOCH + timedelta(microseconds=max(0, int(at)))
    return FeedPosition(
        instant, UUID(str(execution_id)), max(0, min(int(sequence_from), 2**31 - 1))
    )


def _unusable(detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"`after` {detail}.", code="invalid_parameter", errors=[Violation("after", detail)]
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/events",
        handler=events,
        tag="Events",
        scope=Scope.EVENTS_READ,
        summary="Follow the organisation's events, or fill a gap",
        description=(
            "With `Accept: text/event-stream`: events from now on, or after `Last-Event-ID` or `?after=`. A cursor that is "
            "no use any more is answered with a `reset` event that says from when on events may be missing. Otherwise: "
            "a page from PostgreSQL, which has them all, in order of time. Events come at least once; `id` tells them "
            "apart, and `sequence` orders those of one execution."
        ),
        query=EventsQuery,
        answers=answers(
            {200: Answer("A page, or a stream.", EventsPage)},
            UNREADABLE,
        ),
    ),
    Route(
        method="POST",
        path="/v1/events",
        handler=publish,
        tag="Events",
        scope=Scope.EVENTS_WRITE,
        summary="Send events to the workflows that listen for them",
        description=(
            "CloudEvents 1.0: one (`application/cloudevents+json`), a batch (`application/cloudevents-batch+json`), or in "
            "binary mode, with the attributes in `ce-` headers and the data as the body. 202 means that all of them are "
            "committed in PostgreSQL. `source` and `id` tell an event that was sent before, so sending again is always "
            "safe. They are not told to those who follow the organisation's events."
        ),
        body=list[GivenEvent] | GivenEvent,
        body_media_types=(STRUCTURED, BATCH),
        answers=answers(ok(KeptEvents, "Committed.", status=202), INVALID, UNSUPPORTED),
        needs_owner=True,
    ),
)
