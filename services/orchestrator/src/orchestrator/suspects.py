"""Messages that may have ended the processes which decided them: counted before, forgotten after.

Redis's own delivery counter also counts what is read again after an outage of PostgreSQL, which says nothing against a
message. Only an attempt that never came back, whatever its result, leaves its count behind here.
"""

from __future__ import annotations

import structlog

from common.streams.connection import REDIS_ERRORS, Link
from common.streams.consumer import Entry

log = structlog.get_logger()

ATTEMPTS_MAX = 3
"""Attempts that never came back before a message is set aside undecided."""

KEY = "kwe:suspects"
KEY_TTL_MS = 24 * 60 * 60 * 1000


class Suspects:
    def __init__(self, link: Link) -> None:
        self._link = link

    async def begin(self, entry: Entry) -> bool:
        """Count an attempt; False when there were too many: do not decide it. True when Redis cannot tell."""
        try:
            attempts, _ = await self._link.pipeline(
                [(b"HINCRBY", KEY, _field(entry), 1), (b"PEXPIRE", KEY, KEY_TTL_MS)]
            )
        except REDIS_ERRORS as error:
            log.warning("suspect_not_counted", error=str(error) or type(error).__name__)
            return True
        return bool(attempts <= ATTEMPTS_MAX)

    async def end(self, entry: Entry) -> None:
        """The attempt came back."""
        try:
            await self._link.call(b"HDEL", KEY, _field(entry))
        except REDIS_ERRORS as error:
            log.warning("suspect_not_forgotten", error=str(error) or type(error).__name__)


def _field(entry: Entry) -> str:
    return f"{entry.stream} {entry.id.decode()}"
