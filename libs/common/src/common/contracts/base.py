"""The base of every message, and how messages become bytes and back."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from common.ids import uuid7

Json = Any
"""None, bool, int, float, str, list or dict with str keys."""

INLINE_INPUT_BYTES_MAX = 4096
"""Larger bodies go to `payloads` first; the message carries a reference."""


class Message(BaseModel):
    """Base of everything published to a stream.

    A producer may add an optional field and be deployed first. Any other change is a new `type` with a higher
    suffix, published beside the old one until nothing reads the old one.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]

    message_id: UUID = Field(default_factory=uuid7)
    """Stable across redeliveries."""

    organization_id: UUID
    traceparent: str = ""
    """W3C trace context of the sender; empty when there is none."""


class Request(Message):
    """A message that is answered on the caller's reply stream."""

    reply_to: str = ""
    """Name of the stream for the answer; empty when nobody waits."""

    deadline_ms: int | None = None
    """Milliseconds since the epoch after which the caller has given up. Shedding, not safety."""


class PayloadReference(BaseModel):
    """A body kept in `payloads`: too large to travel."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    owner_id: UUID
    """The execution the body belongs to; for uploads an id of their own."""

    id: UUID
    size: int
    sha256: str = ""


M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    return message.__pydantic_serializer__.to_json(message)


def union_adapter(*types: type[Message]) -> TypeAdapter[Any]:
    """Decodes any of `types` by the field `type`."""
    union: Any = types[0]
    for each in types[1:]:
        union = union | each
    if len(types) > 1:
        # mypy cannot follow a union that is put together at run time.
        union = Annotated.__class_getitem__((union, Field(discriminator="type")))  # type: ignore[attr-defined]
    return TypeAdapter(union)
