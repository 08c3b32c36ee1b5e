"""Which pages in a browser may call the API: the ones of `CORS_ORIGIN`, and by default none."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.middleware.observation import EXTRA_HEADERS

_METHODS: Final = "GET, POST, PUT, DELETE"
_REQUEST_HEADERS: Final = (
    "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, X-API-Key, X-Request-Id, "
    "traceparent"
)
_EXPOSED: Final = (
    "ETag, Idempotency-Key, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id, "
    "traceparent"
)
_PREFLIGHT_SECONDS: Final = "7200"


def cors(origins: Collection[str], *, credentials: bool) -> Middleware:
    """Where no origin is configured the middleware only passes on."""
    anybody = "*" in origins

    @web.middleware
    async def allow_origins(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is None or not origins:
            return await handler(request)
        if not anybody and origin not in origins:
            return await handler(request)
        allowed = {
            "Access-Control-Allow-Origin": "*" if anybody else origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }
        if credentials and not anybody:
            allowed["Access-Control-Allow-Credentials"] = "true"
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            allowed["Access-Control-Allow-Methods"] = _METHODS
            allowed["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
            allowed["Access-Control-Max-Age"] = _PREFLIGHT_SECONDS
            return web.Response(status=204, headers=allowed)
        request.setdefault(EXTRA_HEADERS, {}).update(allowed)
        return await handler(request)

    return allow_origins
