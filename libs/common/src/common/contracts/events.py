"""The public event: what outside consumers read from an organisation's feed."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from common.contracts.base import Json


class LifecycleEvent(BaseModel):
    """CloudEvents 1.0: one event of an execution's history, as the workflow language's lifecycle names it.

    An entry of the feed carries a list of them: the events of one turn of one execution, in order.
    """

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: str = Field(pattern=r"^[0-9a-f-]{36}/[1-9][0-9]*$", description="`{execution}/{sequence}`.")
    source: str = Field(description="`/{namespace}/{name}/{version}` of the workflow.")
    type: str = Field(pattern=r"^io\.serverlessworkflow\.(workflow|task)\.[a-z-]+\.v1$")
    subject: str = Field(description="Id of the execution.")
    time: str = Field(description="RFC 3339.")
    datacontenttype: Literal["application/json"]
    sequence: int = Field(
        ge=1, description="Position in the execution's history, from 1, without gaps."
    )
    traceparent: str | None = Field(None, description="W3C trace context of the execution.")
    data: dict[str, Json]


class EmittedEvent(BaseModel):
    """CloudEvents 1.0: an event that a task of an execution emitted, as it was emitted."""

    model_config = ConfigDict(extra="allow")

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    executionid: str = Field(description="Id of the execution.")
    sequence: int = Field(
        ge=1, description="Position in the execution's history, in one row with its other events."
    )
