"""Errors as answers: RFC 9457 bodies with stable codes, and nothing of our insides."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web

from common.contracts.replies import Reply
from common.errors import (
    Conflict,
    EngineError,
    Forbidden,
    InvalidRequest,
    NotFound,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)

MEDIA_TYPE = "application/problem+json"


class MethodNotAllowed(EngineError):
    code, http_status, title = "method_not_allowed", 405, "Method not allowed"


class UnsupportedMediaType(EngineError):
    code, http_status, title = "unsupported_media_type", 415, "Unsupported media type"


_BY_STATUS: Mapping[int, type[EngineError]] = {
    error.http_status: error
    for error in (
        InvalidRequest,
        Unauthenticated,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        TooLarge,
        UnsupportedMediaType,
        Unprocessable,
        TooManyRequests,
        Unavailable,
    )
}


def problem_response(error: EngineError, *, instance: str, request_id: str) -> web.Response:
    body = {**error.as_problem(), "instance": instance, "requestId": request_id}
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="kwe"'
    return web.Response(
        body=orjson.dumps(body, default=str, option=orjson.OPT_NON_STR_KEYS),
        status=error.http_status,
        content_type=MEDIA_TYPE,
        headers=headers,
    )


def error_of_http(error: web.HTTPException) -> EngineError:
    """What aiohttp itself refused, in our words."""
    match error:
        case web.HTTPNotFound():
            return NotFound("There is nothing here. /docs lists every route.", code="no_such_route")
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return MethodNotAllowed(
                f"This route does not take {error.method}. It takes {allowed}.",
                extensions={"allow": sorted(error.allowed_methods)},
            )
        case web.HTTPRequestEntityTooLarge():
            return TooLarge("The body is too large.")
        case _:
            kind = _BY_STATUS.get(error.status)
            if kind is None:
                return InvalidRequest(error.reason) if error.status < 500 else EngineError("")
            return kind(error.reason)


def error_of_reply(reply: Reply) -> EngineError:
    """What the owner of something refused, as the caller sees it."""
    kind = _BY_STATUS.get(reply.status, EngineError)
    extensions: Mapping[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    return kind(
        reply.detail or kind.title,
        code=reply.code or None,
        retry_after=reply.retry_after_s,
        extensions=extensions,
    )
