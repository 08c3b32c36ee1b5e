"""The stages that a batch of documents goes through. Each may be repeated, by another worker too."""

from collections.abc import Sequence

from common.metrics import CHUNKS_EMBEDDED
from knowledge.ingestion.preparation import Preparation
from knowledge.ports import Embedder, VectorStore
from knowledge.storage import chunks, index, work
from knowledge.storage.chunks import NewChunk, Unembedded, searchable
from knowledge.storage.queries import Connection, Pool
from knowledge.storage.work import Batch

EMBED_AT_A_TIME = 128
"""Chunks per transaction: what a crash costs at most, how often progress shows, and one request to a provider."""


class Stages:
    def __init__(
        self, pool: Pool, embedder: Embedder, store: VectorStore, preparation: Preparation
    ) -> None:
        self._pool = pool
        self._embedder = embedder
        self._store = store
        self._preparation = preparation

    async def run(self, batch: Batch) -> None:
        """Bring the batch to `ready`. What is not ours any more drops out silently on the way."""
        uncut = batch.only({d.id for d in batch.documents if not d.is_chunked})
        if uncut.documents:
            await self._cut(uncut)
        batch = await self._embed(batch)
        await self._publish(batch)

    async def _cut(self, batch: Batch) -> None:
        async with self._pool.acquire() as connection:
            batch = await work.announce(connection, batch, "parsing")
            sources = await work.sources(connection, batch.documents)
        headings = {id: await self._preparation.headings(source) for id, source in sources.items()}
        async with self._pool.acquire() as connection:
            batch = await work.announce(connection, batch, "chunking")
        cut: list[NewChunk] = []
        for document in batch.documents:
            cut += await self._preparation.chunks(
                sources[document.revision_id],
                headings[document.revision_id],
                passage_size=batch.target.passage_size,
            )
        async with self._pool.acquire() as connection, connection.transaction():
            kept = await work.advance(connection, batch, "embedding")
            revisions = {document.revision_id for document in kept.documents}
            ours = [chunk for chunk in cut if chunk.revision_id in revisions]
            if ours:
                await chunks.replace(connection, batch.target, revisions, ours)
            await self._record_progress(connection, kept)

    async def _embed(self, batch: Batch) -> Batch:
        while batch.documents:
            async with self._pool.acquire() as connection:
                waiting = await chunks.unembedded(
                    connection, batch.target, _revisions(batch), limit=EMBED_AT_A_TIME
                )
            if not waiting:
                break
            batch = await self._embed_some(batch, waiting)
        return batch

    async def _embed_some(self, batch: Batch, waiting: Sequence[Unembedded]) -> Batch:
        target = batch.target
        async with self._pool.acquire() as connection:
            known = await chunks.embedded_already(
                connection, target, {chunk.text_hash for chunk in waiting}
            )
        fresh = [chunk for chunk in waiting if chunk.text_hash not in known]
        vectors = {}
        if fresh:
            rows, _ = await self._embedder.embed(
                [searchable(chunk.context, chunk.text) for chunk in fresh]
            )
            vectors = dict(zip((chunk.ordinal for chunk in fresh), rows, strict=True))
        copies = {
            chunk.ordinal: known[chunk.text_hash] for chunk in waiting if chunk.text_hash in known
        }
        async with self._pool.acquire() as connection, connection.transaction():
            kept = await work.advance(connection, batch, "embedding")
            if len(kept.documents) == len(batch.documents):
                await self._store.put(connection, target, vectors)
                await self._store.copy(connection, target, copies)
                await chunks.mark_embedded(connection, target, [chunk.ordinal for chunk in waiting])
                CHUNKS_EMBEDDED.labels(self._embedder.provider).inc(len(fresh))
            # Else some of the chunks may be gone with their document: only what is ours is looked at again.
            await self._record_progress(connection, kept)
        return kept

    async def _publish(self, batch: Batch) -> None:
        if not batch.documents:
            return
        async with self._pool.acquire() as connection:
            batch = await work.announce(connection, batch, "indexing")
            contents = await chunks.contents(connection, batch.target, _revisions(batch))
        counts = await self._preparation.count_terms(contents)
        async with self._pool.acquire() as connection, connection.transaction():
            kept = await work.advance(connection, batch, "indexing")
            if len(kept.documents) < len(batch.documents):
                ours = await chunks.contents(connection, batch.target, _revisions(kept))
                counts = {ordinal: counts[ordinal] for ordinal in ours}
            if kept.documents:
                await index.publish(connection, kept, counts)
                await work.finish(connection, kept)

    async def _record_progress(self, connection: Connection, batch: Batch) -> None:
        found = await chunks.progress(connection, batch.target, _revisions(batch))
        await work.record_progress(
            connection,
            batch,
            {
                document.id: (total, embedded / total)
                for document in batch.documents
                for total, embedded in [found.get(document.revision_id, (0, 0))]
                if total
            },
        )


def _revisions(batch: Batch) -> list[int]:
    return [document.revision_id for document in batch.documents]
