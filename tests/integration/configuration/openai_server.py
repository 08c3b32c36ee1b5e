"""A server that speaks OpenAI's API as its stricter models do, and takes traces like an APM server."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

DIMENSIONS = 1536


@dataclass
class OpenAIServer:
    """`text-embedding-ada-002` knows no `dimensions`, the reasoning model no `temperature` and no `max_tokens`."""

    refused: list[str] = field(default_factory=list)
    answered: int = 0
    embedded: int = 0
    traces: int = 0
    url: str = ""

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/embeddings", self._embeddings),
            web.post("/v1/chat/completions", self._completion),
            web.post("/v1/traces", self._traces),
        ]

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["model"] != "text-embedding-ada-002" or "dimensions" in body:
            return self._refuse("dimensions", "This model does not support specifying dimensions.")
        self.embedded += len(body["input"])
        data = [
            {"object": "embedding", "index": index, "embedding": _vector(str(text))}
            for index, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response(
            {"object": "list", "model": body["model"], "data": data, "usage": usage}
        )

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        for name in ("temperature", "max_tokens"):
            if name in body:
                return self._refuse(
                    name, f"Unsupported parameter: '{name}' is not supported with this model."
                )
        self.answered += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        deltas: list[tuple[dict[str, Any], str | None]] = [
            ({"content": "Within 30 days."}, None),
            ({}, "stop"),
        ]
        for delta, finish in deltas:
            event = {
                "id": "c",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": body["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            }
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _traces(self, request: web.Request) -> web.Response:
        self.traces += bool(await request.read())
        return web.Response(content_type="application/x-protobuf")

    def _refuse(self, name: str, message: str) -> web.Response:
        self.refused.append(name)
        error = {
            "message": message,
            "type": "invalid_request_error",
            "param": name,
            "code": "unsupported_parameter",
        }
        return web.json_response({"error": error}, status=400)


def _vector(text: str) -> list[float]:
    """The same text, the same vector; different texts point elsewhere."""
    digest = hashlib.sha256(text.encode()).digest()
    return [digest[index % 32] / 255 for index in range(DIMENSIONS)]
