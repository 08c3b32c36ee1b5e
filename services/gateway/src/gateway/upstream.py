"""Whether commands can be accepted at this moment, known before anybody asks.

Orchestrators that reach PostgreSQL keep a key in Redis that expires after a second or so. One small read twice a
second tells each gateway which of the two is away, so that starts get their 503 at once and before anything is sent.
It recovers by itself: the next read that finds the key opens the gate again.
"""

from __future__ import annotations

import asyncio
from typing import Final

from redis.exceptions import ResponseError

from common.errors import Unavailable
from common.logs import get_logger
from common.streams import names
from common.streams.connection import REDIS_ERRORS
from gateway.redis_calls import Calls

log = get_logger(__name__)

LOOK_SECONDS: Final = 0.5
MEMORY_EVERY_LOOKS: Final = 10
MEMORY_SHARE_MAX: Final = 0.7
"""Above this share of Redis's memory nothing new is started, so that what runs can finish."""

OK: Final = b"ok"


class Upstream:
    """The gate in front of commands."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._refusal: str | None = "starting"
        self._full = False
        self.has_been_well = False

    def require_orchestrator(self) -> None:
        """Raise `Unavailable` when a command could not be committed now."""
        self.require_redis()
        match self._refusal:
            case "starting" | "database":
                raise Unavailable(
                    "No orchestrator reaches PostgreSQL at the moment. Nothing was sent.",
                    code="database_unavailable",
                    retry_after=1,
                )

    def require_room(self) -> None:
        """Raise `Unavailable` when nothing new should be started."""
        self.require_orchestrator()
        if self._full:
            raise Unavailable(
                "Redis is nearly full; nothing new is started until running work has finished. Nothing was sent.",
                code="saturated",
                retry_after=5,
            )

    def require_redis(self) -> None:
        """Raise `Unavailable` when nothing can be sent at all."""
        if self._refusal == "redis":
            raise Unavailable(
                "Redis cannot be reached. Nothing was sent.",
                code="streams_unavailable",
                retry_after=1,
            )

    @property
    def reason(self) -> str | None:
        """For readiness: None when all is well."""
        return {
            None: None,
            "redis": "Redis cannot be reached",
            "database": "no orchestrator says that it reaches PostgreSQL",
            "starting": "not looked yet",
        }[self._refusal]

    async def watch(self) -> None:
        looks = 0
        while True:
            await self.look()
            if looks % MEMORY_EVERY_LOOKS == 0 and self._refusal is None:
                await self._look_at_memory()
            looks += 1
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        try:
            value = await self._calls.call(b"GET", names.DATABASE_DOWN_KEY)
        except ResponseError as error:  # it answers, but not us: LOADING, MISCONF, NOAUTH
            self._become("redis", str(error))
        except REDIS_ERRORS as error:
            self._become("redis", str(error) or type(error).__name__)
        else:
            self._become(None if value == OK else "database", "")

    def _become(self, refusal: str | None, error: str) -> None:
        if refusal != self._refusal:
            log.info("upstream_changed", before=self._refusal, now=refusal, error=error)
        self._refusal = refusal
        self.has_been_well = self.has_been_well or refusal is None

    async def _look_at_memory(self) -> None:
        try:
            text = (await self._calls.call(b"INFO", b"memory")).decode()
        except REDIS_ERRORS:
            return  # the next look says so
        facts = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        most = int(facts.get("maxmemory", 0))
        self._full = most > 0 and int(facts.get("used_memory", 0)) > most * MEMORY_SHARE_MAX
