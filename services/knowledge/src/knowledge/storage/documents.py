"""Documents as users see them: accepting, looking at, and deleting them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import asyncpg
import orjson

from common.errors import NotFound
from knowledge.document import NewDocument
from knowledge.storage import index
from knowledge.storage.collections import IndexVersion
from knowledge.storage.queries import Connection, load_queries

QUERIES = load_queries("documents.sql")

Verdict = Literal["accepted", "unchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentOverview:
    id: str
    version: int
    status: str
    progress: float
    chunks: int
    error: str | None
    title: str | None
    media_type: str
    metadata: dict[str, Any]
    characters: int
    created_at: datetime
    updated_at: datetime

    @property
    def is_finished(self) -> bool:
        return self.status in {"ready", "failed"}

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "version": self.version,
            "status": self.status,
            "progress": round(self.progress, 3),
            "chunks": self.chunks,
            "error": self.error,
            "title": self.title,
            "mediaType": self.media_type,
            "metadata": self.metadata,
            "characters": self.characters,
            "createdAt": self.created_at.isoformat(),
            "updatedAt": self.updated_at.isoformat(),
        }


async def accept(
    connection: Connection, target: IndexVersion, documents: Sequence[NewDocument]
) -> dict[str, Verdict]:
    """Commit documents for ingestion. The same content again is left alone, unless it had failed.

    Raise `NotFound` when the collection was deleted meanwhile.
    """
    owner = (target.organization_id, target.collection_id)
    ids = sorted(document.id for document in documents)
    try:
        async with connection.transaction():
            await connection.execute(QUERIES["ensure_documents"], *owner, ids)
            rows = await connection.fetch(QUERIES["lock_documents"], *owner, ids)
            known = {row["id"]: row for row in rows}
            changed = [
                document
                for document in documents
                if known[document.id]["content_hash"] != document.content_hash
            ]
            failed = [row["id"] for row in rows if row["status"] == "failed"]
            again = sorted(set(failed) - {document.id for document in changed})
            if changed:
                await _add_revisions(connection, target, changed, known)
            if again:
                await connection.execute(QUERIES["restart_documents"], *owner, again, 0)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound(
            "The collection was deleted meanwhile.", code="collection_not_found"
        ) from error
    accepted = {document.id for document in changed} | set(again)
    return {id: "accepted" if id in accepted else "unchanged" for id in ids}


async def _add_revisions(
    connection: Connection,
    target: IndexVersion,
    changed: Sequence[NewDocument],
    known: dict[str, asyncpg.Record],
) -> None:
    owner = (target.organization_id, target.collection_id)
    await connection.execute(
        QUERIES["restart_documents"], *owner, [document.id for document in changed], 1
    )
    await connection.execute(
        QUERIES["insert_revisions"],
        *owner,
        [document.id for document in changed],
        [known[document.id]["version"] + 1 for document in changed],
        [document.title for document in changed],
        [document.media_type for document in changed],
        [orjson.dumps(document.metadata).decode() for document in changed],
        [document.content_hash for document in changed],
        [document.body for document in changed],
    )


async def overviews(
    connection: Connection, organization_id: UUID, collection: str, ids: Sequence[str]
) -> list[DocumentOverview]:
    rows = await connection.fetch(QUERIES["overviews"], organization_id, collection, list(ids))
    return [_overview(row) for row in rows]


async def overviews_after(
    connection: Connection, organization_id: UUID, collection: str, *, after: str, limit: int
) -> list[DocumentOverview]:
    rows = await connection.fetch(
        QUERIES["overviews_after"], organization_id, collection, after, limit
    )
    return [_overview(row) for row in rows]


def _overview(row: asyncpg.Record) -> DocumentOverview:
    return DocumentOverview(**{**row, "metadata": orjson.loads(row["metadata"])})


async def delete(connection: Connection, target: IndexVersion, document_id: str) -> None:
    """Gone from search, and from the tables, when this returns. Raise `NotFound` for an unknown one."""
    owner = (target.organization_id, target.collection_id)
    async with connection.transaction():
        found = None
        if "\0" not in document_id:
            found = await connection.fetchval(QUERIES["lock_document"], *owner, document_id)
        if found is None:
            raise NotFound(f"There is no document {document_id!r}.", code="document_not_found")
        await index.withdraw(connection, target, [document_id])
        await connection.execute(QUERIES["delete_document"], *owner, document_id)
