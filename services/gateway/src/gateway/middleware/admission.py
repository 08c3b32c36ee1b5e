"""Who may pass: authentication, scope, rate. After this a handler knows its caller."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.contextvars import bind_contextvars

from common.errors import Unauthenticated
from common.metrics import ORGANIZATION_REQUESTS
from gateway.context import GATEWAY, Gateway
from gateway.limits.addresses import client_address
from gateway.limits.limiter import limit_headers, refusal
from gateway.middleware.observation import EXTRA_HEADERS
from gateway.route import PRINCIPAL, route_of

UNLIMITED = frozenset({"/health", "/ready"})
"""Probes must not be refused: the platform would take the process for dead."""


@web.middleware
async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    route = route_of(request)
    if route is None or route.scope is None:
        if route is None or route.path not in UNLIMITED:
            await _count(request, gateway, _address(request, gateway))
        return await handler(request)
    try:
        principal = await gateway.credentials.principal(request.headers)
    except Unauthenticated:
        # Counted before it is refused, so that keys cannot be guessed faster than anybody may ask.
        await _count(request, gateway, _address(request, gateway))
        raise
    await _count(request, gateway, f"org:{principal.organization_id}")
    principal.require(route.scope)
    request[PRINCIPAL] = principal
    ORGANIZATION_REQUESTS.inc(principal.organization_id)
    bind_contextvars(organization_id=str(principal.organization_id))
    return await handler(request)


def _address(request: web.Request, gateway: Gateway) -> str:
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    address = client_address(request.remote or "", forwarded, gateway.settings.trusted_proxies)
    return f"ip:{address}"


async def _count(request: web.Request, gateway: Gateway, who: str) -> None:
    limiter = gateway.limiter
    verdict = await limiter.take(who)
    if verdict is None:
        return
    request.setdefault(EXTRA_HEADERS, {}).update(limit_headers(verdict, limiter.policy))
    if not verdict.allowed:
        raise refusal(verdict, limiter.policy)
