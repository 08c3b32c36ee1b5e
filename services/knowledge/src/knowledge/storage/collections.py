"""Collections, and the index versions that search and ingestion work on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from common.errors import Conflict, NotFound
from knowledge.storage.queries import Connection, load_queries

QUERIES = load_queries("collections.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """How texts become chunks and vectors. Fixed for the life of an index version."""

    passage_size: int
    embedding_provider: str
    model: str
    dimensions: int
    vector_store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVersion(IndexSettings):
    id: int
    organization_id: UUID
    collection_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionOverview:
    id: UUID
    name: str
    description: str
    created_at: datetime
    index_version: int
    embedding_provider: str
    model: str
    dimensions: int
    vector_store: str
    passage_size: int
    chunks: int

    def as_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "name": self.name,
            "description": self.description,
            "createdAt": self.created_at.isoformat(),
            "indexVersion": self.index_version,
            "embeddingProvider": self.embedding_provider,
            "model": self.model,
            "dimensions": self.dimensions,
            "vectorStore": self.vector_store,
            "passageSize": self.passage_size,
            "chunks": self.chunks,
        }


async def create(
    connection: Connection,
    organization_id: UUID,
    *,
    id: UUID,
    name: str,
    description: str,
    settings: IndexSettings,
) -> CollectionOverview:
    """Raise `Conflict` when the name is taken, except by this very `id`: then it is the same request again."""
    async with connection.transaction():
        created = await connection.fetchval(
            QUERIES["insert_collection"], id, organization_id, name, description
        )
        if created is not None:
            await connection.execute(
                QUERIES["insert_index_version"],
                organization_id,
                id,
                settings.passage_size,
                settings.embedding_provider,
                settings.model,
                settings.dimensions,
                settings.vector_store,
            )
        existing = await overview(connection, organization_id, name)
    if existing.id != id:
        raise Conflict(
            f"There is a collection {name!r} already; choose another name.",
            code="collection_exists",
        )
    return existing


async def overview(connection: Connection, organization_id: UUID, name: str) -> CollectionOverview:
    row = await connection.fetchrow(QUERIES["overview"], organization_id, name)
    if row is None:
        raise unknown_collection(name)
    return CollectionOverview(**row)


async def overviews(
    connection: Connection, organization_id: UUID, *, after: str, limit: int
) -> list[CollectionOverview]:
    rows = await connection.fetch(QUERIES["overviews_after"], organization_id, after, limit)
    return [CollectionOverview(**row) for row in rows]


async def delete(connection: Connection, organization_id: UUID, name: str) -> None:
    if await connection.fetchval(QUERIES["delete_collection"], organization_id, name) is None:
        raise unknown_collection(name)


async def active_index(connection: Connection, organization_id: UUID, name: str) -> IndexVersion:
    # A name with NUL cannot even be asked for.
    row = None
    if "\0" not in name:
        row = await connection.fetchrow(QUERIES["active_index_by_name"], organization_id, name)
    if row is None:
        raise unknown_collection(name)
    return IndexVersion(**row)


async def active_index_of(connection: Connection, collection_id: UUID) -> IndexVersion | None:
    """`None` when the collection was deleted meanwhile."""
    row = await connection.fetchrow(QUERIES["active_index_by_collection"], collection_id)
    return None if row is None else IndexVersion(**row)


def unknown_collection(name: str) -> NotFound:
    return NotFound(f"There is no collection {name!r}.", code="collection_not_found")
