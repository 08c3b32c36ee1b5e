"""Calls of operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from kwe.client.calls import Calls


class OperatingCalls(Calls):
    def dead_letters(self, *, redriven: bool | None = None) -> AsyncIterator[dict[str, Any]]:
        wanted = None if redriven is None else str(redriven).lower()
        return self._pages("/v1/dead-letters", redriven=wanted)

    async def redrive(self, dead_letter_id: str) -> dict[str, Any]:
        path = f"/v1/dead-letters/{quote(dead_letter_id, safe='')}/redrive"
        answer: dict[str, Any] = await self.transport.post(path)
        return answer

    async def invariants(self) -> dict[str, Any]:
        """Whether every unfinished execution has a live reason."""
        answer: dict[str, Any] = await self.transport.get("/v1/health/invariants")
        return answer
