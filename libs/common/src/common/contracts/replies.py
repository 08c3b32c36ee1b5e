"""The one answer to a request."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from common.contracts.base import Json, Message


class Reply(Message):
    type: Literal["reply.v1"] = "reply.v1"
    request_id: UUID
    """`message_id` of the request."""

    status: int
    """As in HTTP: 2xx done or accepted, 4xx refused, 503 try later."""

    code: str = ""
    """Stable code of a refusal, see `common.errors`."""

    detail: str = ""
    body: Json = None
    retry_after_s: float | None = None
