"""One limit per organisation, or per address without an identity, over all replicas of the gateway."""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import sha1
from importlib import resources
from typing import Any, Final

from redis.exceptions import NoScriptError, ResponseError

from common.errors import TooManyRequests
from common.logs import get_logger
from common.metrics import RATE_LIMITED
from common.streams.connection import REDIS_ERRORS
from gateway.limits.gcra import LocalFloor, Policy, Verdict
from gateway.redis_calls import Calls

log = get_logger(__name__)

_SCRIPT: Final = resources.files("gateway.limits").joinpath("gcra.lua").read_bytes()
_SCRIPT_SHA: Final = sha1(_SCRIPT, usedforsecurity=False).hexdigest()


class Limiter:
    def __init__(self, calls: Calls, policy: Policy) -> None:
        self.policy = policy
        self._calls = calls
        self._floor = LocalFloor()
        self._local = False

    async def take(self, who: str) -> Verdict | None:
        """Count one request of `who`. None where there is no limit; Redis is not asked then."""
        policy = self.policy
        if policy.limit == 0:
            return None
        try:
            verdict = await self._ask(who, policy)
        except REDIS_ERRORS as error:
            self._note_local(error)
            verdict = self._floor.take(who, time.monotonic_ns() // 1000, policy)
        else:
            self._local = False
        if not verdict.allowed:
            RATE_LIMITED.labels(limiter="local" if self._local else "redis").inc()
        return verdict

    async def _ask(self, who: str, policy: Policy) -> Verdict:
        interval = policy.interval_us
        arguments = (f"kwe:limit:{who}", interval, interval * policy.limit)
        try:
            reply = await self._calls.call(b"EVALSHA", _SCRIPT_SHA, 1, *arguments)
        except NoScriptError:
            reply = await self._calls.call(b"EVAL", _SCRIPT, 1, *arguments)
        return _verdict(reply)

    def _note_local(self, error: Exception) -> None:
        if isinstance(error, ResponseError):
            log.error("rate_limit_script_failed", error=str(error))
        elif not self._local:
            log.warning("rate_limit_is_local", error=str(error) or type(error).__name__)
        self._local = True


def _verdict(reply: Sequence[Any]) -> Verdict:
    allowed, remaining, reset, retry = (int(part) for part in reply)
    return Verdict(bool(allowed), remaining, reset, retry)


def limit_headers(verdict: Verdict, policy: Policy) -> dict[str, str]:
    """The `RateLimit` fields (IETF draft): what is left, and when it is whole again."""
    window = policy.window_us // 1_000_000
    return {
        "RateLimit": f'"default";r={verdict.remaining};t={verdict.reset_seconds}',
        "RateLimit-Policy": f'"default";q={policy.limit};w={window}',
    }


def refusal(verdict: Verdict, policy: Policy) -> TooManyRequests:
    window = policy.window_us // 1_000_000
    return TooManyRequests(
        f"More than {policy.limit} requests in {window} seconds.",
        code="rate_limited",
        retry_after=verdict.retry_seconds,
    )
