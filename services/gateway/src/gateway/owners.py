"""Asking the owner of something: every write of the gateway is a command on a stream, answered on its reply stream."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from common.contracts.base import Request
from common.contracts.replies import Reply
from common.ids import partition_of
from common.streams import names
from common.streams.requests import Requester
from gateway.problems import error_of_reply
from gateway.upstream import Upstream

SEARCH_QUEUE: Final = "knowledge.search"
INGEST_QUEUE: Final = "knowledge.ingest"


class Owners:
    def __init__(
        self, requester: Requester, upstream: Upstream, *, partitions: int, timeout_s: float
    ) -> None:
        self._requester = requester
        self._upstream = upstream
        self._partitions = partitions
        self._timeout_s = timeout_s

    def require_room(self) -> None:
        """Raise `Unavailable` when a start could not be accepted now."""
        self._upstream.require_room()

    async def start(self, request: Request, execution_id: UUID) -> Reply:
        """Send a start. The reply may be a refusal; no answer raises `OutcomeUnknown`."""
        self._upstream.require_room()
        stream = names.commands(partition_of(execution_id, self._partitions))
        return await self._requester.ask(request, stream, timeout_s=self._timeout_s)

    async def command(self, request: Request) -> Reply:
        """Ask the orchestrator about something of the organisation; raise what it refuses."""
        self._upstream.require_orchestrator()
        stream = names.commands(partition_of(request.organization_id, self._partitions))
        return accepted(await self._requester.ask(request, stream, timeout_s=self._timeout_s))

    async def control(self, request: Request, execution_id: UUID) -> Reply:
        """Cancel, suspend, resume: they must not queue behind starts, so they go where results go."""
        self._upstream.require_orchestrator()
        stream = names.results(partition_of(execution_id, self._partitions))
        return accepted(await self._requester.ask(request, stream, timeout_s=self._timeout_s))

    async def knowledge(self, request: Request, queue: str) -> Reply:
        """Ask the knowledge service; raise what it refuses."""
        self._upstream.require_redis()
        stream = names.tasks(queue)
        return accepted(await self._requester.ask(request, stream, timeout_s=self._timeout_s))


def accepted(reply: Reply) -> Reply:
    """The reply, or what it refuses as an error."""
    if reply.status >= 400:
        raise error_of_reply(reply)
    return reply
