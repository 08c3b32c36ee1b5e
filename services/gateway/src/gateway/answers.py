"""Answers as bytes. What PostgreSQL holds as JSON text goes through unread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from common.security.hiding import REDACTED
from common.security.sealed import are_sealed

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC


def dumps(value: Any) -> bytes:
    return orjson.dumps(value, default=str, option=_OPTIONS)


def json_answer(
    body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=dumps(body), status=status, content_type="application/json", headers=headers
    )


def passed(text: str | bytes | None) -> Any:
    """JSON text as part of an answer, without parsing it; what was made from secrets is not shown."""
    if text is None:
        return None
    raw = text.encode() if isinstance(text, str) else text
    return REDACTED if are_sealed(raw) else orjson.Fragment(raw)
