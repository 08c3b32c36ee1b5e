"""Which vectors the settings can ask for, and how Pinecone's environments are read."""

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from common.errors import ConfigurationError
from common.settings import KnowledgeSettings, read
from knowledge.app import make_embedder

OPENAI = {"EMBEDDING_PROVIDER": "openai", "OPENAI_API_KEY": "k"}


@pytest.mark.parametrize(
    ("model", "dimensions", "said"),
    [
        ("text-embedding-ada-002", "768", "has always 1536"),
        ("text-embedding-3-small", "3072", "has at most 1536"),
        ("text-embedding-3-large", "4096", "has at most 3072"),
    ],
)
def test_dimensions_that_a_model_cannot_give_are_refused(
    model: str, dimensions: str, said: str
) -> None:
    environ = {**OPENAI, "EMBEDDING_MODEL": model, "EMBEDDING_DIMENSIONS": dimensions}
    with pytest.raises(ConfigurationError, match=said):
        make_embedder(read(KnowledgeSettings, environ))


@pytest.mark.parametrize(
    ("model", "dimensions"),
    [("text-embedding-ada-002", "1536"), ("text-embedding-3-small", "512"), ("my-own", "4096")],
)
async def test_dimensions_that_a_model_may_give_are_taken(model: str, dimensions: str) -> None:
    environ = {**OPENAI, "EMBEDDING_MODEL": model, "EMBEDDING_DIMENSIONS": dimensions}
    embedder = make_embedder(read(KnowledgeSettings, environ))
    assert embedder.dimensions == int(dimensions)
    await embedder.close()


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ("us-east-1-aws", ("aws", "us-east-1")),
        ("aws-us-east-1", ("aws", "us-east-1")),
        ("us-central1-gcp", ("gcp", "us-central1")),
        ("asia-southeast1-gcp-free", ("gcp", "asia-southeast1")),
        ("eastus-azure", ("azure", "eastus")),
        ("EU-WEST-1-AWS", ("aws", "eu-west-1")),
    ],
)
def test_environments_of_pinecone_become_cloud_and_region(
    environment: str, place: tuple[str, str]
) -> None:
    settings = read(KnowledgeSettings, {"PINECONE_ENVIRONMENT": environment})
    assert settings.pinecone_place == place


@pytest.mark.parametrize("environment", ["us-east-1", "aws", "somewhere"])
def test_an_environment_without_a_cloud_is_refused(environment: str) -> None:
    with pytest.raises(ConfigurationError, match="PINECONE_ENVIRONMENT: should be a region and"):
        read(KnowledgeSettings, {"PINECONE_ENVIRONMENT": environment})


@pytest.mark.parametrize(
    ("model", "asked"), [("text-embedding-ada-002", None), ("text-embedding-3-large", 1536)]
)
async def test_dimensions_are_asked_for_only_where_the_model_knows_the_word(
    model: str, asked: int | None
) -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        data = [{"object": "embedding", "index": 0, "embedding": [1.0] * 1536}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "model": model, "data": data, "usage": usage})

    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    async with TestServer(app) as server:
        environ = {
            **OPENAI,
            "OPENAI_BASE_URL": str(server.make_url("/v1")),
            "EMBEDDING_MODEL": model,
            "EMBEDDING_DIMENSIONS": "1536",
        }
        embedder = make_embedder(read(KnowledgeSettings, environ))
        vectors, _ = await embedder.embed(["text"])
        await embedder.close()
    assert vectors.shape == (1, 1536)
    assert bodies[0].get("dimensions") == asked


async def test_a_model_of_one_length_on_another_server_is_asked_without_the_word() -> None:
    bodies: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        if "dimensions" in bodies[-1]:
            message = (
                "Model does not support matryoshka representation, changing output dimensions."
            )
            return web.json_response({"error": {"message": message}}, status=400)
        data = [{"object": "embedding", "index": 0, "embedding": [1.0] * 768}]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "model": "own", "data": data, "usage": usage})

    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    async with TestServer(app) as server:
        environ = {
            **OPENAI,
            "OPENAI_BASE_URL": str(server.make_url("/v1")),
            "EMBEDDING_MODEL": "own",
            "EMBEDDING_DIMENSIONS": "768",
        }
        embedder = make_embedder(read(KnowledgeSettings, environ))
        for _ in range(2):
            vectors, _ = await embedder.embed(["text"])
            assert vectors.shape == (1, 768)
        await embedder.close()
    assert ["dimensions" in body for body in bodies] == [True, False, False]
