"""Bodies too large to travel in a stream, in PostgreSQL's `workflow.payloads`."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg

from common.contracts.base import PayloadReference
from common.ids import uuid7
from common.logs import get_logger
from common.postgres import is_retryable, load_queries

log = get_logger(__name__)

T = TypeVar("T")

QUERIES: Final = load_queries("common.serving.sql", "payloads.sql")
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 3.0


class PayloadStore:
    """Waits for PostgreSQL to come back instead of raising: a result that was paid for must not be lost to that."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self._pool = pool

    async def load(self, organization_id: UUID, reference: PayloadReference) -> bytes:
        """Raise `LookupError` when there is no such body of this organisation."""
        found = await _persistently(
            lambda: self._pool.fetchval(
                QUERIES["load_payload"], reference.owner_id, reference.id, organization_id
            )
        )
        if found is None:
            raise LookupError(f"payload {reference.id} of {reference.owner_id} is not stored")
        return bytes(found)

    async def save(self, organization_id: UUID, owner_id: UUID, raw: bytes) -> PayloadReference:
        """Store under a new id. A crash afterwards leaves a row that nothing refers to; retention removes it."""
        id, digest = uuid7(), sha256(raw)
        await _persistently(
            lambda: self._pool.execute(
                QUERIES["save_payload"], owner_id, id, organization_id, digest.digest(), raw
            )
        )
        return PayloadReference(owner_id=owner_id, id=id, size=len(raw), sha256=digest.hexdigest())


async def _persistently(attempt: Callable[[], Awaitable[T]]) -> T:
    backoff_s = BACKOFF_FIRST_S
    while True:
        try:
            return await attempt()
        except Exception as error:
            if not is_retryable(error):
                raise
            log.warning("payload_store_unavailable", error=type(error).__name__)
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
            backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
