"""The work of ingestion as rows: claiming it, recording how far it is, and how it ended."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from knowledge.storage.collections import IndexVersion
from knowledge.storage.queries import Connection, load_queries

QUERIES = load_queries("work.sql")

Stage = Literal["parsing", "chunking", "embedding", "indexing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A document in a worker's hands."""

    id: str
    version: int
    status: str
    attempts: int
    revision_id: int
    bytes: int

    @property
    def is_chunked(self) -> bool:
        return self.status in {"embedding", "indexing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    revision_id: int
    title: str | None
    media_type: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Documents of one collection that one worker claimed together."""

    target: IndexVersion
    claim: UUID
    lease: timedelta
    documents: tuple[Claimed, ...]

    @property
    def owner(self) -> tuple[UUID, UUID]:
        return self.target.organization_id, self.target.collection_id

    @property
    def ids(self) -> list[str]:
        return [document.id for document in self.documents]

    def only(self, ids: Collection[str]) -> "Batch":
        kept = tuple(document for document in self.documents if document.id in ids)
        return Batch(target=self.target, claim=self.claim, lease=self.lease, documents=kept)


async def backlog(connection: Connection) -> tuple[int, float]:
    """Unfinished documents, and the seconds since the one that waits longest was touched."""
    row = await connection.fetchrow(QUERIES["backlog"])
    assert row is not None
    return row["unfinished"], max(row["waiting_s"], 0.0)


async def collections_with_work(connection: Connection) -> list[UUID]:
    rows = await connection.fetch(QUERIES["collections_with_work"])
    return [row["collection_id"] for row in rows]


async def claim(
    connection: Connection,
    target: IndexVersion,
    *,
    claim: UUID,
    lease: timedelta,
    limit: int,
) -> Batch:
    rows = await connection.fetch(QUERIES["claim"], target.collection_id, limit, claim, lease)
    documents = tuple(Claimed(**row) for row in rows)
    return Batch(target=target, claim=claim, lease=lease, documents=documents)


async def sources(connection: Connection, documents: Sequence[Claimed]) -> dict[int, Source]:
    revisions = [document.revision_id for document in documents]
    rows = await connection.fetch(QUERIES["sources"], revisions)
    return {row["revision_id"]: Source(**row) for row in rows}


async def advance(connection: Connection, batch: Batch, stage: Stage) -> Batch:
    """What of the batch is still ours, moved to `stage`. Within a transaction: until it ends, it stays ours."""
    rows = await connection.fetch(QUERIES["lock_claimed"], *batch.owner, batch.ids, batch.claim)
    kept = batch.only({row["id"] for row in rows})
    if kept.documents:
        await connection.execute(QUERIES["set_stage"], *batch.owner, kept.ids, stage, batch.lease)
    return kept


async def announce(connection: Connection, batch: Batch, stage: Stage) -> Batch:
    """`advance` where nothing else is written. A crash may forget it: the stage before is then worked on again."""
    async with connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = off")
        return await advance(connection, batch, stage)


async def record_progress(
    connection: Connection, batch: Batch, progress: Mapping[str, tuple[int, float]]
) -> None:
    """`progress` has the number of chunks and the part of them that is embedded, by document."""
    await connection.execute(
        QUERIES["record_progress"],
        *batch.owner,
        list(progress),
        [chunks for chunks, _ in progress.values()],
        [part for _, part in progress.values()],
    )


async def finish(connection: Connection, batch: Batch) -> None:
    await connection.execute(QUERIES["finish"], *batch.owner, batch.ids)


async def fail(connection: Connection, batch: Batch, document_id: str, reason: str) -> None:
    await connection.execute(QUERIES["fail"], *batch.owner, document_id, batch.claim, reason)


async def retry_later(
    connection: Connection, batch: Batch, document_id: str, reason: str, delay: timedelta
) -> None:
    await connection.execute(
        QUERIES["retry_later"], *batch.owner, document_id, batch.claim, reason, delay
    )


async def release(connection: Connection, batch: Batch) -> None:
    await connection.execute(QUERIES["release"], *batch.owner, batch.ids, batch.claim)
