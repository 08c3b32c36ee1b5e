"""The real OpenAI client against a local server that behaves, and misbehaves, like OpenAI's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aiohttp import web

from common.errors import InvalidRequest, Unavailable, Unprocessable
from knowledge.embedding.openai import OpenAIEmbedder


class Provider:
    def __init__(self) -> None:
        self.requests: list[dict] = []
        self.answer: web.Response | None = None
        self.dimensions = 8

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        if self.answer is not None:
            return self.answer
        data = [
            {
                "object": "embedding",
                "index": place,
                "embedding": [float(place + 1)] * self.dimensions,
            }
            for place in range(len(body["input"]))
        ]
        usage = {"prompt_tokens": 3 * len(data), "total_tokens": 3 * len(data)}
        # Out of order on purpose: only `index` says which is which.
        return web.json_response(
            {"object": "list", "model": body["model"], "data": data[::-1], "usage": usage}
        )


@asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[OpenAIEmbedder]:
    app = web.Application()
    app.router.add_post("/v1/embeddings", provider.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    embedder = OpenAIEmbedder(
        api_key="k",
        base_url=f"http://{host}:{port}/v1",
        model="text-embedding-3-small",
        dimensions=8,
    )
    try:
        yield embedder
    finally:
        await embedder.close()
        await runner.cleanup()


async def test_vectors_come_in_order_with_unit_length_and_their_cost() -> None:
    provider = Provider()
    async with serving(provider) as embedder:
        vectors, tokens = await embedder.embed([f"text {n}" for n in range(130)])
    assert vectors.shape == (130, 8)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert tokens == 390
    assert [len(request["input"]) for request in provider.requests] == [128, 2]
    assert provider.requests[0]["dimensions"] == 8


@pytest.mark.parametrize("status", [429, 500, 503, 529])
async def test_overload_may_be_tried_again_when_the_provider_says(status: int) -> None:
    provider = Provider()
    provider.answer = web.json_response({"error": {}}, status=status, headers={"retry-after": "7"})
    async with serving(provider) as embedder:
        with pytest.raises(Unavailable) as refused:
            await embedder.embed(["text"])
    assert refused.value.retry_after == 7
    assert len(provider.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_refusal_is_final(status: int) -> None:
    provider = Provider()
    provider.answer = web.json_response({"error": {}}, status=status)
    async with serving(provider) as embedder:
        with pytest.raises(Unprocessable):
            await embedder.embed(["text"])


@pytest.mark.parametrize(
    "answer",
    [
        '{"data": [',
        "[]",
        "{}",
        '{"data": []}',
        '{"data": [{"index": 0}], "usage": {"total_tokens": 1}}',
        '{"data": [{"index": 0, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": ["a"]}], "usage": {"total_tokens": 1}}',
    ],
)
async def test_a_broken_answer_may_be_tried_again(answer: str) -> None:
    provider = Provider()
    provider.answer = web.Response(text=answer, content_type="application/json")
    async with serving(provider) as embedder:
        with pytest.raises(Unavailable):
            await embedder.embed(["text"])


async def test_vectors_of_another_size_than_configured_are_refused() -> None:
    provider = Provider()
    provider.dimensions = 5
    async with serving(provider) as embedder:
        with pytest.raises(Unprocessable, match="EMBEDDING_DIMENSIONS"):
            await embedder.embed(["text"])


async def test_an_empty_text_is_not_sent() -> None:
    provider = Provider()
    async with serving(provider) as embedder:
        with pytest.raises(InvalidRequest):
            await embedder.embed(["  "])
    assert provider.requests == []


async def test_a_provider_that_cannot_be_reached_may_be_tried_again() -> None:
    embedder = OpenAIEmbedder(
        api_key="k", base_url="http://127.0.0.1:1/v1", model=None, dimensions=None
    )
    with pytest.raises(Unavailable):
        await embedder.embed(["text"])
    await embedder.close()
