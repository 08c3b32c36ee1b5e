"""Public events."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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
    """CloudEvents 1.0. `sequence` counts the events of one execution, without gaps."""

    model_config = ConfigDict(extra="allow")

    specversion: str
    id: str = Field(description="`{execution}/{sequence}`.")
    source: str
    type: str
    time: str | None = None
    subject: str | None = None
    data: Any = None


class EventsPage(View):
    items: list[CloudEvent]
    next_after: str = Field(
        description="Where to go on. After the last page it lags a little behind: turns that were committing meanwhile "
        "come with the next walk, and some events come again. Tell them by their id."
    )
    more: bool = Field(description="False: this is everything up to now.")
