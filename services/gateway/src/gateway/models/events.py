"""Public events."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from gateway.bounds.validation import Query
from gateway.models.common import View


class AfterSequence(Query):
    after: str | None = Field(None, description="The last sequence that is known already.")


class EventsQuery(Query):
    after: str | None = Field(
        None,
        max_length=512,
        description=(
            "As a stream: the `id` of the last event. As a page: an instant (RFC 3339), the `id` of an event of the stream, or "
            "`nextAfter` of the page before."
        ),
    )
    limit: int = Field(200, ge=1, le=1000, description="As a page: turns of executions at most.")


class CloudEvent(BaseModel):
    """CloudEvents 1.0. `sequence` counts the events of one execution, without gaps; `executionid` is on events that a workflow
    emitted, and names it."""

    model_config = ConfigDict(extra="allow")

    specversion: str
    id: str = Field(description="`{execution}/{sequence}`, or what the workflow gave.")
    source: str
    type: str
    time: str | None = None
    subject: str | None = None
    data: Any = None


class GivenEvent(BaseModel):
    """CloudEvents 1.0. Further members are extension attributes."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: str = Field(
        min_length=1, max_length=2048, description="With `source`, what tells it from all others."
    )
    source: str = Field(min_length=1, max_length=2048)
    type: str = Field(min_length=1, max_length=2048)
    time: AwareDatetime | None = None
    subject: str | None = Field(None, min_length=1, max_length=2048)
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: Any = None
    data_base64: str | None = Field(None, description="Binary data, instead of `data`.")


class KeptEvents(View):
    accepted: int = Field(description="How many events are kept.")
    known: int = Field(
        description="How many of them had come before; they are offered to nobody again."
    )


class EventsPage(View):
    items: list[CloudEvent]
    next_after: str = Field(
        description="Where to go on. After the last page it lags a little behind: turns that were committing meanwhile "
        "come with the next walk, and some events come again. Tell them by their id."
    )
    more: bool = Field(description="False: this is everything up to now.")
