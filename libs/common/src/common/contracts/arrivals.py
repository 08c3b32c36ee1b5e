"""Events from outside, and what executions are told about them."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from common.contracts.base import Json, Message, PayloadReference, Request


class PublishEvents(Request):
    """Keep these CloudEvents and offer them to whoever listens. Answered (202) when they are committed."""

    type: Literal["events.publish.v1"] = "events.publish.v1"
    events: list[dict[str, Json]] = Field(default_factory=list)
    """Checked by the sender; or, when large, the same list under `events_ref`."""

    events_ref: PayloadReference | None = None


class EventsArrived(Message):
    """Nudge: there are events in PostgreSQL that this execution may be listening for."""

    type: Literal["events.arrived.v1"] = "events.arrived.v1"
    execution_id: UUID
