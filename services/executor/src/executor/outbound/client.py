"""The one HTTP client for requests of tasks: guarded addresses, checked redirects, bounded time and size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from executor.outbound.addresses import OutboundRules, literal
from executor.outbound.resolver import AddressRefused, GuardedResolver

RESPONSE_BYTES_MAX: Final = 8 * 1024 * 1024
REDIRECTS_MAX: Final = 10
REQUEST_SECONDS_MAX: Final = 300.0
CONNECT_SECONDS_MAX: Final = 10.0
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_CREDENTIALS: Final = ("Authorization", "Cookie", "Proxy-Authorization")


class OutboundRefused(Exception):
    """The request was not sent, because of where it would go."""


class OutboundFailed(Exception):
    """No usable response: connecting, reading, or a bound."""

    def __init__(self, detail: str, *, retryable: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class OutboundResponse:
    method: str
    """Of the last request; redirects may change it."""

    url: URL
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


class OutboundClient:
    """Use as `async with`. Follows redirects itself, so that each is checked like a request of its own."""

    def __init__(self, rules: OutboundRules) -> None:
        self._rules = rules
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            resolver=GuardedResolver(self._rules), use_dns_cache=False, limit=256
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS_MAX),
            # No proxies from the environment: they would resolve the name again, unchecked.
            trust_env=False,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def request(
        self,
        method: str,
        url: URL,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        follow_redirects: bool = False,
        bytes_max: int = RESPONSE_BYTES_MAX,
        seconds_max: float = REQUEST_SECONDS_MAX,
        middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    ) -> OutboundResponse:
        """`middlewares` see the requests to the first origin only. Raise `OutboundRefused` or `OutboundFailed`; any status is a response."""
        try:
            async with asyncio.timeout(seconds_max) as limit:
                return await self._follow(
                    method,
                    url,
                    headers=CIMultiDict(headers),
                    body=body,
                    redirects_max=REDIRECTS_MAX if follow_redirects else 0,
                    bytes_max=bytes_max,
                    middlewares=tuple(middlewares),
                )
        except TimeoutError as error:
            when = f"within {seconds_max:g} s" if limit.expired() else "in time"
            raise OutboundFailed(f"{url.host} did not answer {when}", retryable=True) from error

    async def _follow(
        self,
        method: str,
        url: URL,
        *,
        headers: CIMultiDict[str],
        body: bytes | None,
        redirects_max: int,
        bytes_max: int,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...],
    ) -> OutboundResponse:
        for _ in range(redirects_max + 1):
            response = await self._send(
                method, url, headers, body, bytes_max=bytes_max, middlewares=middlewares
            )
            location = response.headers.get("Location")
            if not redirects_max or response.status not in REDIRECTS or location is None:
                return response
            target = _redirect_target(url, location)
            if target.origin() != url.origin():
                for name in _CREDENTIALS:
                    headers.popall(name, None)
                middlewares = ()
            if response.status == 303 or (response.status in {301, 302} and method == "POST"):
                method, body = ("HEAD" if method == "HEAD" else "GET"), None
                for name in ("Content-Type", "Content-Length"):
                    headers.popall(name, None)
            url = target
        raise OutboundFailed(f"more than {REDIRECTS_MAX} redirects", retryable=False)

    async def _send(
        self,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | None,
        *,
        bytes_max: int,
        middlewares: tuple[aiohttp.ClientMiddlewareType, ...],
    ) -> OutboundResponse:
        assert self._session is not None, "use the client as a context manager"
        self._check(url)
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=body,
                allow_redirects=False,
                middlewares=middlewares,
            ) as response:
                content = await _bounded(response, bytes_max)
                return OutboundResponse(method, url, response.status, response.headers, content)
        except aiohttp.ClientError as error:
            if _is_refusal(error):
                raise _refused(url) from error
            raise OutboundFailed(_reason(url, error), retryable=True) from error
        except AddressRefused as error:
            raise _refused(url) from error
        except OSError as error:
            raise OutboundFailed(_reason(url, error), retryable=True) from error

    def _check(self, url: URL) -> None:
        """What the resolver never sees: the scheme, and addresses that are spelled out."""
        if url.scheme not in {"http", "https"} or not url.host:
            raise OutboundRefused(f"{url.scheme or 'no scheme'}: only http and https are possible")
        address = literal(url.host)
        if address is not None and not self._rules.allows(url.host, url.port or 0, address):
            raise _refused(url)


def _redirect_target(url: URL, location: str) -> URL:
    try:
        return url.join(URL(location))
    except ValueError as error:
        raise OutboundFailed(f"{url.host} redirects to no URL", retryable=False) from error


async def _bounded(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > bytes_max:
            raise OutboundFailed(f"the response has more than {bytes_max:,} bytes", retryable=False)
    return bytes(content)


def _is_refusal(error: BaseException) -> bool:
    """aiohttp wraps what the resolver raises."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, AddressRefused) or isinstance(
            getattr(cause, "os_error", None), AddressRefused
        ):
            return True
        cause = cause.__cause__
    return False


def _refused(url: URL) -> OutboundRefused:
    return OutboundRefused(
        f"{url.host}:{url.port} is not on the public internet. An operator can allow it with "
        f"OUTBOUND_ALLOW={url.host}:{url.port}"
    )


def _reason(url: URL, error: Exception) -> str:
    return f"{url.host} could not be reached: {type(error).__name__}"
