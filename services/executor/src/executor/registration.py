"""Telling the orchestrator which functions this pool serves, until it has heard it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from common.contracts.administration import RegisterFunctions
from common.contracts.replies import Reply
from common.errors import ConfigurationError, Unavailable
from common.logs import get_logger
from common.serving.functions import Function
from common.streams.names import commands
from common.streams.requests import Requester

log = get_logger(__name__)

EVERYBODY: Final = UUID(int=0)
"""Functions of a pool are offered to every organisation."""

ASK_TIMEOUT_S: Final = 5.0
PAUSE_FIRST_S: Final = 0.2
PAUSE_MAX_S: Final = 5.0


class Registration:
    """The functions of this pool on their way into the catalog."""

    def __init__(self, requester: Requester, functions: Sequence[Function]) -> None:
        self._requester = requester
        self._functions = functions
        self._is_known = not functions

    async def check(self) -> str | None:
        """For readiness: until the catalog has them no task can ask for them."""
        return None if self._is_known else "the functions are not registered yet"

    async def run(self) -> None:
        """Return when the catalog has them. Waits while nobody answers: executors may start first.

        Raises `ConfigurationError` when they are refused, such as a changed schema under the same version.
        """
        pause_s = PAUSE_FIRST_S
        while not self._is_known:
            reply = await self._ask()
            if reply is not None and reply.status < 300:
                self._is_known = True
                names = [one.reference for one in self._functions]
                log.info("functions_registered", functions=names)
                return
            if reply is not None and reply.status < 500 and reply.status != 429:
                raise ConfigurationError(f"the functions were refused: {reply.detail}")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, PAUSE_MAX_S)

    async def _ask(self) -> Reply | None:
        request = RegisterFunctions(
            organization_id=EVERYBODY,
            functions=tuple(one.declaration() for one in self._functions),
        )
        try:
            return await self._requester.ask(request, commands(0), timeout_s=ASK_TIMEOUT_S)
        except Unavailable as error:
            log.info("registration_unanswered", reason=error.code)
            return None
