"""What the service can do, whoever asks: requests of the gateway, tasks of workflows, tests.

Every method names the organisation it works for, and sees nothing of any other.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.errors import InvalidRequest, NotFound, Unprocessable, Violation
from common.ids import uuid7
from knowledge.collection import read_collection
from knowledge.document import read_documents
from knowledge.ingestion.pipeline import Pipeline, PipelineSettings
from knowledge.ingestion.preparation import Preparation
from knowledge.ingestion.stages import Stages
from knowledge.ports import Embedder, Vectors, VectorStore
from knowledge.retrieval.search import Hit, Searcher, read_query
from knowledge.storage import collections, documents
from knowledge.storage.collections import CollectionOverview
from knowledge.storage.documents import DocumentOverview
from knowledge.storage.queries import Pool

PAGE_MAX = 200
EMBED_TEXTS_MAX = 256
EMBED_CHARACTERS_MAX = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    vectors: Vectors
    model: str
    dimensions: int
    tokens: int


class Knowledge:
    def __init__(
        self,
        pool: Pool,
        *,
        embedder: Embedder,
        store: VectorStore,
        pipeline_settings: PipelineSettings | None = None,
    ) -> None:
        self._pool = pool
        self._embedder = embedder
        self._store = store
        self._preparation = Preparation()
        stages = Stages(pool, embedder, store, self._preparation)
        self.pipeline = Pipeline(pool, stages, pipeline_settings or PipelineSettings())
        self._searcher = Searcher(pool, {embedder.model: embedder}, {store.name: store})

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Ingest for as long as the block lasts."""
        try:
            async with self.pipeline.running():
                yield
        finally:
            await self.close()

    async def close(self) -> None:
        self._preparation.close()
        await self._embedder.close()

    async def create_collection(
        self,
        organization_id: UUID,
        name: str,
        *,
        settings: Mapping[str, Any] | None = None,
        id: UUID | None = None,
    ) -> CollectionOverview:
        """The same `id` again answers what it made before, so that a request may be delivered twice."""
        read = read_collection(name, settings or {}, embedder=self._embedder, store=self._store)
        async with self._pool.acquire() as connection:
            return await collections.create(
                connection,
                organization_id,
                id=id or uuid7(),
                name=name,
                description=read.description,
                settings=read.index,
            )

    async def delete_collection(self, organization_id: UUID, name: str) -> None:
        """With all its documents. Raise `NotFound` when there is none."""
        async with self._pool.acquire() as connection:
            await collections.delete(connection, organization_id, name)

    async def collection(self, organization_id: UUID, name: str) -> CollectionOverview:
        async with self._pool.acquire() as connection:
            return await collections.overview(connection, organization_id, name)

    async def list_collections(
        self, organization_id: UUID, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[CollectionOverview]:
        """In order of names, beginning behind `after`."""
        async with self._pool.acquire() as connection:
            return await collections.overviews(
                connection, organization_id, after=after, limit=min(limit, PAGE_MAX)
            )

    async def add_documents(
        self, organization_id: UUID, collection: str, new: Sequence[Mapping[str, Any]]
    ) -> list[DocumentOverview]:
        """Commit documents for ingestion; when this returns they will become `ready` or `failed`.

        A document whose `id` is there already is replaced once its new text is indexed; until then search
        finds the old one. The same content again changes nothing.
        """
        async with self._pool.acquire() as connection:
            target = await collections.active_index(connection, organization_id, collection)
            read = read_documents(new, collection_id=target.collection_id)
            verdicts = await documents.accept(connection, target, read)
            ids = [document.id for document in read]
            found = await documents.overviews(connection, organization_id, collection, ids)
        if "accepted" in verdicts.values():
            self.pipeline.nudge()
        by_id = {overview.id: overview for overview in found}
        return [by_id[id] for id in ids if id in by_id]

    async def document_status(
        self, organization_id: UUID, collection: str, document_id: str
    ) -> DocumentOverview:
        found = await self.document_statuses(organization_id, collection, [document_id])
        if not found:
            raise NotFound(f"There is no document {document_id!r}.", code="document_not_found")
        return found[0]

    async def document_statuses(
        self, organization_id: UUID, collection: str, ids: Sequence[str]
    ) -> list[DocumentOverview]:
        """Of those that exist, in order of their ids."""
        async with self._pool.acquire() as connection:
            return await documents.overviews(connection, organization_id, collection, ids)

    async def list_documents(
        self, organization_id: UUID, collection: str, *, after: str = "", limit: int = PAGE_MAX
    ) -> list[DocumentOverview]:
        async with self._pool.acquire() as connection:
            await collections.active_index(connection, organization_id, collection)
            return await documents.overviews_after(
                connection, organization_id, collection, after=after, limit=min(limit, PAGE_MAX)
            )

    async def delete_document(
        self, organization_id: UUID, collection: str, document_id: str
    ) -> None:
        async with self._pool.acquire() as connection:
            target = await collections.active_index(connection, organization_id, collection)
            await documents.delete(connection, target, document_id)

    async def search(
        self,
        organization_id: UUID,
        collection: str,
        body: Mapping[str, Any],
        *,
        deadline_ms: int | None = None,
    ) -> list[Hit]:
        """`body` is `{query, topK?, mode?, filter?, minScore?}`. Best hits first."""
        query = read_query(body, deadline_ms=deadline_ms)
        return await self._searcher.search(organization_id, collection, query)

    async def embed(self, texts: Any, *, model: str | None = None) -> Embeddings:
        if model is not None and model != self._embedder.model:
            raise Unprocessable(
                f"The model {model!r} is not set up; this service has {self._embedder.model!r}.",
                code="unknown_model",
            )
        if not isinstance(texts, list | tuple) or not 0 < len(texts) <= EMBED_TEXTS_MAX:
            raise InvalidRequest(f"`texts` should be a list of 1 to {EMBED_TEXTS_MAX} texts.")
        for place, text in enumerate(texts):
            if not isinstance(text, str) or not 0 < len(text.strip()) <= EMBED_CHARACTERS_MAX:
                advice = f"should be a text of 1 to {EMBED_CHARACTERS_MAX} characters"
                raise InvalidRequest(
                    f"/texts/{place} {advice}.", errors=[Violation(f"/texts/{place}", advice)]
                )
        vectors, tokens = await self._embedder.embed(texts)
        return Embeddings(
            vectors=vectors,
            model=self._embedder.model,
            dimensions=self._embedder.dimensions,
            tokens=tokens,
        )
