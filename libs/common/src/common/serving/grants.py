"""Permission to run an at-most-once task, asked of the orchestrator."""

from __future__ import annotations

import asyncio
from typing import Final

from common.contracts.tasks import TaskClaim
from common.errors import Unavailable
from common.logs import get_logger
from common.streams import names
from common.streams.requests import Requester

log = get_logger(__name__)

ASK_TIMEOUT_S: Final = 5.0
PAUSE_S: Final = 1.0


class AskedGrants:
    """Asks with the same nonce until there is an answer: a repeated question gets the answer of the first."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    async def ask(self, claim: TaskClaim, partition: int) -> bool:
        while True:
            try:
                reply = await self._requester.ask(
                    claim, names.results(partition), timeout_s=ASK_TIMEOUT_S
                )
            except Unavailable as error:  # an unknown outcome is one too
                log.info("grant_unanswered", key=claim.key, reason=error.code)
                await asyncio.sleep(PAUSE_S)
                continue
            if reply.status < 500 and reply.status != 429:
                return reply.status < 300
            await asyncio.sleep(reply.retry_after_s or PAUSE_S)
