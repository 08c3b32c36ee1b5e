"""Calls about definitions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import quote

from kwe.client.calls import Calls
from kwe.client.transport import Answer
from kwe.errors import InvalidRequest


class WorkflowCalls(Calls):
    async def apply(self, definition: str | bytes | Mapping[str, Any]) -> dict[str, Any]:
        """Register a definition: YAML or JSON text, or an object. The same again changes nothing."""
        answer = await self._send_definition("/v1/workflows", definition)
        return {**answer.body, "created": answer.status == 201}

    async def validate(self, definition: str | bytes | Mapping[str, Any]) -> list[dict[str, Any]]:
        """Everything that is wrong with a definition, with its place and advice."""
        answer = await self._send_definition("/v1/workflows/validate", definition)
        return list(answer.body["diagnostics"])

    def workflows(self, *, namespace: str | None = None) -> AsyncIterator[dict[str, Any]]:
        return self._pages("/v1/workflows", namespace=namespace)

    async def workflow(self, name: str, *, version: str | None = None) -> dict[str, Any]:
        path = workflow_path(name) + (f"/versions/{quote(version, safe='')}" if version else "")
        found: dict[str, Any] = await self.transport.get(path)
        return found

    async def _send_definition(
        self, path: str, definition: str | bytes | Mapping[str, Any]
    ) -> Answer:
        if isinstance(definition, Mapping):
            return await self.transport.request(
                "POST", path, body=dict(definition), repeatable=True
            )
        raw = definition.encode() if isinstance(definition, str) else definition
        # JSON is YAML: one reader gives positions for both.
        headers = {"Content-Type": "application/yaml"}
        return await self.transport.request("POST", path, raw=raw, headers=headers, repeatable=True)


def workflow_path(workflow: str) -> str:
    namespace, _, name = workflow.partition("/")
    if not namespace or not name or "/" in name:
        raise InvalidRequest(
            422, {"detail": f"{workflow!r} should be namespace/name, such as support/refund-policy"}
        )
    return f"/v1/workflows/{quote(namespace, safe='')}/{quote(name, safe='')}"
