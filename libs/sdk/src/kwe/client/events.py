"""Calls that follow events: of one execution, or of the whole organisation."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from kwe.client.calls import Calls
from kwe.client.models import Event
from kwe.client.sse import follow

RESET: Final = "reset"
DEFAULT_SOURCE: Final = "/kwe"


class EventCalls(Calls):
    async def stream(self, execution_id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """Every event of an execution once and in order, until it ends; lost connections are mended.

        Between them come `task.delta` events, which nothing keeps.
        """
        frames = follow(
            self.transport,
            f"{execution_path(execution_id)}/events",
            last_id=str(after) if after else "",
            patience_seconds=self.patience,
        )
        async with aclosing(frames):
            async for kind, data in frames:
                event = _event(kind, data)
                if event.sequence is not None:
                    if event.sequence <= after:
                        continue
                    after = event.sequence
                yield event
                if event.ends_execution:
                    return

    async def feed(self, *, after: str | None = None) -> AsyncGenerator[Event, None]:
        """The organisation's events from now on, or after an instant or the id of an event; at least once.

        Where the stream cannot go on without a gap, the gap is filled from the history first.
        """
        if after is not None:
            async for event in self.past_events(after=after):
                yield event
        frames = follow(self.transport, "/v1/events", patience_seconds=self.patience)
        async with aclosing(frames):
            async for kind, data in frames:
                if kind == RESET:
                    async for event in self.past_events(after=data["fillFrom"]):
                        yield event
                else:
                    yield _event(kind, data)

    async def send_events(self, *events: Mapping[str, Any]) -> dict[str, int]:
        """Keep CloudEvents for the workflows that listen for them. When this returns they are committed.

        `specversion`, `id`, `source` and `time` are filled in where they are missing.
        """
        whole = [_completed(event) for event in events]
        answer: dict[str, int] = (
            await self.transport.request(
                "POST",
                "/v1/events",
                raw=orjson.dumps(whole),
                headers={"Content-Type": "application/cloudevents-batch+json"},
                repeatable=True,
            )
        ).body
        return answer

    async def past_events(self, *, after: str) -> AsyncGenerator[Event, None]:
        """The organisation's events since an instant, from the history, up to about now."""
        while True:
            page = await self.transport.get("/v1/events", after=after)
            for item in page["items"]:
                yield Event.model_validate(item)
            if not page["more"]:
                return
            after = page["nextAfter"]


def _completed(event: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": DEFAULT_SOURCE,
        "time": datetime.now(UTC).isoformat(),
    }
    return {**defaults, **event}


def _event(kind: str, data: Any) -> Event:
    if isinstance(data, dict) and "specversion" in data:
        return Event.model_validate(data)
    return Event(type=kind, data=data)


def execution_path(execution_id: str) -> str:
    return f"/v1/executions/{quote(execution_id, safe='')}"
