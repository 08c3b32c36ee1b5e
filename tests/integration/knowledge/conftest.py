"""A knowledge service on a real database, with the real embedding model."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest

from knowledge.embedding.local import LocalEmbedder
from knowledge.engine import Knowledge
from knowledge.ingestion.pipeline import PipelineSettings
from knowledge.ports import Embedder
from knowledge.storage.documents import DocumentOverview
from knowledge.storage.queries import Pool
from knowledge.stores.pgvector import PgVectorStore

PATIENCE_SECONDS = 90
QUICK = PipelineSettings(
    lease=timedelta(seconds=1),
    sweep=timedelta(milliseconds=50),
    delay_initial=timedelta(milliseconds=20),
    attempts_max=3,
)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(database, min_size=1, max_size=6) as opened:
        yield opened


@pytest.fixture
def organization() -> uuid.UUID:
    return uuid.uuid4()


class Engines:
    """Makes services on one database, as replicas would run."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def make(
        self, embedder: Embedder | None = None, settings: PipelineSettings = QUICK
    ) -> Knowledge:
        return Knowledge(
            self._pool,
            embedder=embedder or LocalEmbedder(),
            store=PgVectorStore(),
            pipeline_settings=settings,
        )

    @asynccontextmanager
    async def running(
        self, embedder: Embedder | None = None, settings: PipelineSettings = QUICK
    ) -> AsyncIterator[Knowledge]:
        engine = self.make(embedder, settings)
        async with engine.running():
            yield engine


@pytest.fixture
def engines(pool: Pool) -> Engines:
    return Engines(pool)


@pytest.fixture
async def engine(engines: Engines) -> AsyncIterator[Knowledge]:
    async with engines.running() as running:
        yield running


async def eventually(question: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for a fact; fail when it does not come true in time."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not await question():
        assert time.monotonic() < give_up_at, f"never came true: {what}"
        await asyncio.sleep(0.01)


Finish = Callable[..., Awaitable[list[DocumentOverview]]]


@pytest.fixture
def finish(organization: uuid.UUID) -> Finish:
    """Wait until all documents of a collection are ready or failed, and answer what became of them."""

    async def wait(engine: Knowledge, collection: str) -> list[DocumentOverview]:
        found: list[DocumentOverview] = []

        async def all_finished() -> bool:
            found[:] = await engine.list_documents(organization, collection)
            return all(document.is_finished for document in found)

        await eventually(all_finished, f"all documents of {collection} are ready or failed")
        return found

    return wait


class WatchedEmbedder:
    """The local model, with a record of what it was asked and a say in what happens then."""

    def __init__(self, before: Callable[[list[str]], Awaitable[None]] | None = None) -> None:
        self._model = LocalEmbedder()
        self._before = before
        self.provider = self._model.provider
        self.model = self._model.model
        self.dimensions = self._model.dimensions
        self.embedded: list[str] = []

    async def embed(self, texts):
        if self._before is not None:
            await self._before(list(texts))
        self.embedded.extend(texts)
        return await self._model.embed(texts)

    async def close(self) -> None:
        await self._model.close()
