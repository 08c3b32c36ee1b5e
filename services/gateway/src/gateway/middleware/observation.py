"""Request ids, traces and metrics around every request."""

from __future__ import annotations

import re
import secrets
import time
from functools import cache
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram
from structlog.contextvars import bind_contextvars, clear_contextvars

from common.error_reports import reported_duration
from common.logs import get_logger
from common.metrics import HTTP_REQUESTS, HTTP_SECONDS
from common.telemetry import SpanKind, current_traceparent, of_caller, span
from gateway.context import GATEWAY
from gateway.limits.addresses import client_address
from gateway.route import REQUEST_ID, route_of

log = get_logger(__name__)

TRACEPARENT = web.RequestKey("traceparent", str)
EXTRA_HEADERS = web.RequestKey("extra_headers", dict[str, str])
"""Fields that every answer to this request carries, streams included."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._~:/+=-]{1,128}")
_UNMATCHED: Final = "unmatched"
USER_AGENT_MAX: Final = 200
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"})


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    given = request.headers.get("X-Request-Id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)
    request[REQUEST_ID] = request_id
    route = route_of(request)
    pattern = route.path if route is not None else _UNMATCHED
    method = request.method if request.method in _METHODS else "other"
    started = time.perf_counter()
    # Requests of one connection share their context: what the one before has bound goes first.
    clear_contextvars()
    bind_contextvars(correlation_id=request_id)
    name = f"{method} {pattern}"
    with (
        reported_duration(name, "http.server"),
        span(
            name,
            parent_traceparent=of_caller(request.headers.get("traceparent")),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": pattern},
        ) as recorded,
    ):
        request[TRACEPARENT] = current_traceparent()
        response = await handler(request)
        seconds = time.perf_counter() - started
        recorded.set_attribute("http.response.status_code", response.status)
        requests, durations = _metrics(method, pattern, response.status)
        requests.inc()
        durations.observe(seconds)
        if request.app[GATEWAY].settings.access_log:
            _log_access(request, pattern, response, seconds)
        return response


def _log_access(
    request: web.Request, pattern: str, response: web.StreamResponse, seconds: float
) -> None:
    """Under the request's id and organisation, which are bound. Without the query: it may hold a question."""
    trusted = request.app[GATEWAY].settings.trusted_proxies
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    log.info(
        "request_answered",
        method=request.method,
        path=request.path,
        route=pattern,
        status=response.status,
        seconds=round(seconds, 6),
        received_bytes=request.content_length or 0,
        sent_bytes=response.content_length or response.body_length,
        client=client_address(request.remote or "", forwarded, trusted),
        user_agent=request.headers.get("User-Agent", "")[:USER_AGENT_MAX],
    )


@cache
def _metrics(method: str, pattern: str, status: int) -> tuple[Counter, Histogram]:
    """Finding a child by its labels costs more than counting; there are as many as routes and statuses."""
    return HTTP_REQUESTS.labels(method, pattern, status), HTTP_SECONDS.labels(method, pattern)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Runs when an answer's head is sent, so that event streams have these fields too."""
    headers = response.headers
    if REQUEST_ID in request:
        headers["X-Request-Id"] = request[REQUEST_ID]
    if TRACEPARENT in request:
        headers["traceparent"] = request[TRACEPARENT]
    if EXTRA_HEADERS in request:
        headers.update(request[EXTRA_HEADERS])
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Server"] = "kwe"  # instead of the versions of Python and aiohttp
