"""Access tokens for `oauth2` and `oidc`: asked for once, kept in memory until they expire.

A token is kept for the organisation and the very properties that it was asked for with, so nobody is given one that they could
not have asked for themselves. One that the other side refuses is asked for anew, once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import jwt
import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from yarl import URL

from common.serving.failures import FunctionError
from executor.http.authentication import OAuth2, Oidc
from executor.http.token_requests import parameters_of, request_of
from executor.outbound.client import (
    OutboundClient,
    OutboundFailed,
    OutboundRefused,
    OutboundResponse,
)

KEPT_MAX: Final = 1024
LEEWAY_S: Final = 30.0
"""A token that ends so soon is not used any more; of short-lived ones, the last tenth."""

LIFETIME_UNKNOWN_S: Final = 300.0
"""How long a token is used of which the server does not say how long it lives."""

SECONDS_MAX: Final = 30.0
RESPONSE_BYTES_MAX: Final = 256 * 1024
DISCOVERY: Final = ".well-known/openid-configuration"
_ERROR_CODE_LENGTH_MAX: Final = 80

Grant = OAuth2 | Oidc


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore")

    access_token: str
    expires_in: float | None = None
    refresh_token: str | None = None


@dataclass(slots=True)
class _Kept:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    token: str = ""
    good_until: float = 0.0
    refresh_token: str | None = None


class Tokens:
    def __init__(
        self, client: OutboundClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    async def token(self, organization_id: UUID, grant: Grant, *, refused: str = "") -> str:
        """A token that is good now and is not the one that was `refused`. Raises `FunctionError`."""
        kept = self._place(organization_id, grant)
        async with kept.lock:  # whoever comes meanwhile finds the token
            if kept.token and kept.token != refused and self._clock() < kept.good_until:
                return kept.token
            answer = await self._ask(grant, kept)
            lifetime_s = LIFETIME_UNKNOWN_S if answer.expires_in is None else answer.expires_in
            kept.token = answer.access_token
            kept.good_until = self._clock() + lifetime_s - min(LEEWAY_S, lifetime_s / 10)
            kept.refresh_token = answer.refresh_token or kept.refresh_token
            return kept.token

    def _place(self, organization_id: UUID, grant: Grant) -> _Kept:
        facts = [str(organization_id), type(grant).__name__, grant.model_dump(mode="json")]
        key = sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).digest()
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        return kept

    async def _ask(self, grant: Grant, kept: _Kept) -> _Answer:
        endpoint = await self._token_endpoint(grant)
        if kept.refresh_token is not None:
            try:
                return await self._request(endpoint, grant, kept.refresh_token)
            except FunctionError:
                kept.refresh_token = None  # expired or used up: begin at the beginning
        return await self._request(endpoint, grant, None)

    async def _token_endpoint(self, grant: Grant) -> URL:
        authority = _url(grant.authority.rstrip("/"))
        if isinstance(grant, OAuth2):
            path = grant.endpoints.token
            return _url(path) if "://" in path else _url(f"{authority}/{path.lstrip('/')}")
        response = await self._send("GET", _url(f"{authority}/{DISCOVERY}"), {}, None)
        if response.status != 200:
            raise _failed(response, "does not say where tokens are given")
        try:
            found = orjson.loads(response.body)["token_endpoint"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise _failed(response, "does not say where tokens are given") from None
        return _url(str(found))

    async def _request(self, endpoint: URL, grant: Grant, refresh_token: str | None) -> _Answer:
        parameters = parameters_of(grant, refresh_token)
        headers, body = request_of(grant, endpoint, parameters)
        response = await self._send("POST", endpoint, headers, body)
        if response.status != 200:
            raise _failed(response, f"gave no token{_error_code(response)}")
        try:
            answer = _Answer.model_validate_json(response.body)
        except ValidationError:
            raise _failed(response, "gave no token that can be read") from None
        _check_issuer(grant, answer.access_token)
        return answer

    async def _send(
        self, method: str, url: URL, headers: dict[str, str], body: bytes | None
    ) -> OutboundResponse:
        try:
            return await self._client.request(
                method,
                url,
                headers={"Accept": "application/json", "User-Agent": "kwe-executor", **headers},
                body=body,
                bytes_max=RESPONSE_BYTES_MAX,
                seconds_max=SECONDS_MAX,
            )
        except OutboundRefused as error:
            raise FunctionError(str(error), type="authorization", retryable=False) from error
        except OutboundFailed as error:
            raise FunctionError(
                error.detail, type="communication", retryable=error.retryable
            ) from error


def _url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise FunctionError(
            "authentication: the authority must be an absolute http or https URI",
            type="configuration",
            retryable=False,
        )
    return url


def _failed(response: OutboundResponse, what: str) -> FunctionError:
    place = f"{response.url.origin()}{response.url.path}"
    return FunctionError(
        f"authentication: {place} answered {response.status} and {what}",
        type="authentication",
        retryable=response.status >= 500 or response.status == 429,
    )


def _error_code(response: OutboundResponse) -> str:
    """`error` of RFC 6749, a word such as `invalid_client`; never the description, which may quote the request."""
    try:
        code: Any = orjson.loads(response.body)["error"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return f": {code[:_ERROR_CODE_LENGTH_MAX]}" if isinstance(code, str) else ""


def _check_issuer(grant: Grant, token: str) -> None:
    """Where issuers are named, the token must be a JWT of one of them."""
    if not grant.issuers:
        return
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except jwt.PyJWTError:
        issuer = None
    if issuer not in grant.issuers:
        raise FunctionError(
            "authentication: the token is from none of the issuers that the policy names",
            type="authentication",
            retryable=False,
        )
