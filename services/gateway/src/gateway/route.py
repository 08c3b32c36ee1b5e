"""What the API consists of: one value per route, read by the server and by the OpenAPI document alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from common.errors import InvalidRequest, NotFound, TooLarge
from common.security import Principal, Scope
from gateway.bounds.json_text import parse_json
from gateway.bounds.validation import validated, validated_query
from gateway.context import GATEWAY, Gateway

M = TypeVar("M", bound=BaseModel)

PRINCIPAL = web.RequestKey("principal", Principal)
REQUEST_ID = web.RequestKey("request_id", str)


class Call:
    """One request on its way through its handler."""

    __slots__ = ("gateway", "request")

    def __init__(self, request: web.Request) -> None:
        self.request = request
        self.gateway: Gateway = request.app[GATEWAY]

    @property
    def principal(self) -> Principal:
        """Who asks. Only on routes that have a scope."""
        return self.request[PRINCIPAL]

    @property
    def organization_id(self) -> UUID:
        return self.request[PRINCIPAL].organization_id

    def path(self, name: str) -> str:
        return self.request.match_info[name]

    def path_uuid(self, name: str, what: str) -> UUID:
        """An id from the path. What is no id names nothing, so it is a 404 as well."""
        text = self.request.match_info[name]
        try:
            value = UUID(text)
        except ValueError:
            raise NotFound(f"There is no {what} of this id.") from None
        if str(value) != text.lower():  # braces, urn:uuid:, missing hyphens
            raise NotFound(f"There is no {what} of this id.")
        return value

    def query(self, model: type[M]) -> M:
        """The URL's parameters; a parameter given several times is a list."""
        given = self.request.query
        values: dict[str, Any] = {}
        for name in given:
            several = given.getall(name)
            values[name] = several[0] if len(several) == 1 else several
            if any("\x00" in text for text in several):
                raise InvalidRequest(
                    f"The parameter {name!r} contains NUL.", code="invalid_parameter"
                )
        return validated_query(model, values)

    async def raw_body(self) -> bytes:
        """The whole body, never more than the limit."""
        limit = self.gateway.settings.max_request_bytes
        declared = self.request.content_length
        if declared is not None and declared > limit:
            raise too_large(limit)
        try:
            return await self.request.read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large(limit) from None

    async def json(self) -> Any:
        return parse_json(await self.raw_body(), depth_max=self.gateway.settings.max_json_depth)

    async def body(self, model: type[M]) -> M:
        return validated(model, await self.json())


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit} bytes. Send it in several requests, or refer to it by a URL.",
        extensions={"limit": limit},
    )


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Answer:
    """One way a route answers, for the OpenAPI document and for tests that hold handlers to it."""

    description: str
    model: Any = None
    """A pydantic model or a type that pydantic understands; None: no body."""

    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    """Name to description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    method: str
    path: str
    handler: Handler
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    scope: Scope | None = None
    """What a caller must be allowed to do. None: anyone may ask."""

    description: str = ""
    body: Any = None
    body_media_types: tuple[str, ...] = ("application/json",)
    query: type[BaseModel] | None = None
    idempotent_by_key: bool = False
    """Takes an `Idempotency-Key`."""

    needs_owner: bool = False
    """Asks another service, which may be away (503)."""


class Endpoint:
    """A route as aiohttp serves it: `handle` is registered, and middlewares find the route through it."""

    __slots__ = ("route",)

    def __init__(self, route: Route) -> None:
        self.route = route

    async def handle(self, request: web.Request) -> web.StreamResponse:
        return await self.route.handler(Call(request))


def route_of(request: web.Request) -> Route | None:
    """The route that a request matched; None for what nothing matches."""
    endpoint = getattr(request.match_info.handler, "__self__", None)
    return endpoint.route if isinstance(endpoint, Endpoint) else None
