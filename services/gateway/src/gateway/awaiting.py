"""Waiting for the end of an execution without asking PostgreSQL over and over."""

from __future__ import annotations

import asyncio
from typing import Final
from uuid import UUID

from gateway.accepting import Acceptance
from gateway.context import Gateway
from gateway.models.executions import FINAL
from gateway.reads.database import Row
from gateway.reads.queries import EXECUTIONS
from gateway.route import Call
from gateway.sse.feed import Feed
from gateway.sse.frames import first_of

LOOK_SECONDS: Final = 2.0
"""A look although nothing was heard: events are a feed, and a feed may lose one."""


async def read_execution(gateway: Gateway, organization_id: UUID, execution_id: UUID) -> Row | None:
    return await gateway.database.row(
        organization_id, EXECUTIONS["get_execution"], organization_id, execution_id, of=execution_id
    )


async def wait_for_end(
    call: Call, feed: Feed, acceptance: Acceptance, seconds: float
) -> Row | None:
    """The finished execution; None when it has not finished in time.

    The feed must have been open before the start was sent.
    """
    gateway, closing = call.gateway, call.gateway.hub.closing
    deadline = asyncio.get_running_loop().time() + seconds
    with feed.watch(acceptance.id) as watch:
        # Its end may have been heard before anybody watched for it: the reply and the feed come on two connections.
        watch.ended.set()
        while True:
            remaining = deadline - asyncio.get_running_loop().time()
            if remaining <= 0 or closing.is_set():
                return None
            await first_of(watch.ended, closing, timeout_s=min(remaining, LOOK_SECONDS))
            watch.ended.clear()
            row = await read_execution(gateway, call.organization_id, UUID(acceptance.id))
            if row is not None and row["status"] in FINAL:
                return row
