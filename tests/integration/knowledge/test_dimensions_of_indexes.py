"""A service whose vectors would not fit the stored ones does not start."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from common.errors import ConfigurationError
from knowledge.embedding.dimensions import refuse_unlike_indexes
from knowledge.storage import collections

MODEL = "text-embedding-3-small"


def embedder(model: str, dimensions: int) -> Any:
    return SimpleNamespace(provider="openai", model=model, dimensions=dimensions)


async def test_vectors_of_another_length_than_those_stored_are_refused(database: str) -> None:
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as pool:
        async with pool.acquire() as connection:
            await collections.create(
                connection,
                uuid4(),
                id=uuid4(),
                name="policies",
                description="",
                settings=collections.IndexSettings(
                    passage_size=800,
                    embedding_provider="openai",
                    model=MODEL,
                    dimensions=1536,
                    vector_store="pgvector",
                ),
            )
        await refuse_unlike_indexes(pool, embedder(MODEL, 1536))
        await refuse_unlike_indexes(pool, embedder("another-model", 512))
        with pytest.raises(
            ConfigurationError, match=r"1 collections hold.*EMBEDDING_DIMENSIONS=1536"
        ):
            await refuse_unlike_indexes(pool, embedder(MODEL, 512))


async def test_where_nothing_is_installed_nothing_is_unlike(bare_database: str) -> None:
    async with asyncpg.create_pool(bare_database, min_size=1, max_size=1) as pool:
        await refuse_unlike_indexes(pool, embedder(MODEL, 512))
