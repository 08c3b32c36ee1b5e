"""What every part of the client stands on: the connection, and lists that come in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from kwe.client.transport import Transport


class Calls:
    """Base of the parts of the client."""

    transport: Transport
    patience: float
    """Seconds that an unavailable server is waited for."""

    async def _pages(
        self, path: str, *, most: int | None = None, **filters: Any
    ) -> AsyncIterator[dict[str, Any]]:
        cursor: str | None = None
        left = most
        while left is None or left > 0:
            limit = 100 if left is None else min(100, left)
            page = await self.transport.get(path, limit=limit, cursor=cursor, **filters)
            for item in page["items"]:
                yield item
            left = None if left is None else left - len(page["items"])
            cursor = page["nextCursor"]
            if cursor is None:
                return
