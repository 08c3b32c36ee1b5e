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

    async def set_secret(self, name: str, value: Any) -> dict[str, Any]:
        """Workflows that list it in `use.secrets` read it as `$secrets.NAME`. Nothing gives the value back."""
        answer = await self.transport.request(
            "PUT", _secret(name), body={"value": value}, repeatable=True
        )
        body: dict[str, Any] = answer.body
        return body

    def secrets(self) -> AsyncIterator[dict[str, Any]]:
        """Names and versions."""
        return self._pages("/v1/secrets")

    async def delete_secret(self, name: str) -> None:
        await self.transport.request("DELETE", _secret(name))

    async def invariants(self) -> dict[str, Any]:
        """Whether every unfinished execution has a live reason."""
        answer: dict[str, Any] = await self.transport.get("/v1/health/invariants")
        return answer


def _secret(name: str) -> str:
    return f"/v1/secrets/{quote(name, safe='')}"
