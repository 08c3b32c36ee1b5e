"""HTTP with the API's manners: problems become exceptions, and what is safe to repeat is repeated."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from kwe.errors import ApiError, TimedOut, Unreachable, api_error

RETRYABLE: Final = frozenset({429, 502, 503, 504})
PAUSE_FIRST_SECONDS: Final = 0.1
PAUSE_MAX_SECONDS: Final = 5.0
OUTCOME_UNKNOWN: Final = "outcome_unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: Any


class Transport:
    """One session to one server."""

    def __init__(
        self, url: str, api_key: str, *, patience_seconds: float, timeout_seconds: float
    ) -> None:
        """`patience_seconds`: how long a request is repeated; `timeout_seconds`: for one answer."""
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}", "User-Agent": "kwe-python/0.1"}
        self._patience_seconds = patience_seconds
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """Opened on first use, on the loop that uses it."""
        if self._session is None:
            self._session = aiohttp.ClientSession(headers=self._headers)
        return self._session

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, **params: Any) -> Any:
        return (await self.request("GET", path, params=params, repeatable=True)).body

    async def post(
        self, path: str, body: Any = None, *, repeatable: bool = False, **more: Any
    ) -> Any:
        return (await self.request("POST", path, body=body, repeatable=repeatable, **more)).body

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        raw: bytes | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
        timeout_seconds: float | None = None,
    ) -> Answer:
        """The answer, or the error that fits it.

        Repeated with growing pauses: when nothing can have happened, always; when something may have, only where
        `repeatable` says that doing it again is harmless.
        """
        data = raw if raw is not None else (None if body is None else orjson.dumps(body))
        sent = {"Content-Type": "application/json"} if body is not None else {}
        sent.update(headers or {})
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._patience_seconds
        pause = PAUSE_FIRST_SECONDS
        while True:
            try:
                return await self._once(
                    method,
                    path,
                    data=data,
                    params=_given(params),
                    headers=sent,
                    timeout=aiohttp.ClientTimeout(total=timeout_seconds or self._timeout_seconds),
                )
            except (ApiError, aiohttp.ClientError, TimeoutError) as error:
                wait = max(pause * random.uniform(0.5, 1.0), _asked_for(error))  # noqa: S311 - jitter
                if not _worth_repeating(error, repeatable) or loop.time() + wait > give_up_at:
                    raise self._explained(error) from error
            await asyncio.sleep(wait)
            pause = min(pause * 2, PAUSE_MAX_SECONDS)

    async def _once(self, method: str, path: str, **arguments: Any) -> Answer:
        async with self.session.request(method, self.url + path, **arguments) as response:
            content = await response.read()
            body = _parsed(response.content_type, content)
            if response.status >= 400:
                raise refusal(response.status, body)
            return Answer(response.status, response.headers, body)

    def _explained(self, error: Exception) -> Exception:
        match error:
            case ApiError():
                return error
            case TimeoutError():
                return TimedOut(f"{self.url} did not answer in {self._timeout_seconds:g} s")
            case _:
                return unreachable(self.url, error)


def refusal(status: int, body: Any) -> ApiError:
    return api_error(status, body if isinstance(body, Mapping) else {"detail": f"HTTP {status}"})


def unreachable(url: str, error: Exception) -> Unreachable:
    reason = getattr(error, "os_error", None) or error
    text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
    return Unreachable(f"nobody answers at {url} ({text}); is `kwe up` running, is KWE_URL right?")


def _worth_repeating(error: Exception, repeatable: bool) -> bool:
    if isinstance(error, ApiError):
        return error.status in RETRYABLE and (repeatable or error.code != OUTCOME_UNKNOWN)
    # Without a connection nothing was sent; any other failure may have come after the deed.
    return repeatable or isinstance(error, aiohttp.ClientConnectorError)


def _asked_for(error: Exception) -> float:
    return (error.retry_after or 0.0) if isinstance(error, ApiError) else 0.0


def _given(params: Mapping[str, Any] | None) -> dict[str, str]:
    return {name: str(value) for name, value in (params or {}).items() if value is not None}


def _parsed(content_type: str, content: bytes) -> Any:
    if not content or "json" not in content_type:
        return content.decode(errors="replace") or None
    return orjson.loads(content)
