"""Chunks: passages of one revision, cut, then embedded, then live."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from knowledge.storage.collections import IndexVersion
from knowledge.storage.queries import Connection, load_queries

QUERIES = load_queries("chunks.sql")
INDEX_QUERIES = load_queries("collections.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChunk:
    revision_id: int
    position: int
    start: int
    end: int
    context: str
    text: str
    text_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Unembedded:
    ordinal: int
    context: str
    text: str
    text_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A live chunk with what is known about its document."""

    ordinal: int
    position: int
    start: int
    end: int
    context: str
    text: str
    document_id: str
    version: int
    title: str | None
    metadata: dict[str, Any]


def searchable(context: str, text: str) -> str:
    """What is embedded and indexed: the passage with the title and headings above it."""
    return f"{context}\n{text}" if context else text


async def replace(
    connection: Connection,
    target: IndexVersion,
    revisions: Collection[int],
    chunks: Sequence[NewChunk],
) -> None:
    """Write the chunks of `revisions`, in place of what an earlier attempt left of them."""
    await connection.execute(QUERIES["discard"], target.id, list(revisions))
    first = await connection.fetchval(INDEX_QUERIES["take_ordinals"], target.id, len(chunks))
    await connection.execute(
        QUERIES["insert"],
        target.organization_id,
        target.id,
        list(range(first, first + len(chunks))),
        [chunk.revision_id for chunk in chunks],
        [chunk.position for chunk in chunks],
        [chunk.start for chunk in chunks],
        [chunk.end for chunk in chunks],
        [chunk.context for chunk in chunks],
        [chunk.text for chunk in chunks],
        [chunk.text_hash for chunk in chunks],
    )


async def unembedded(
    connection: Connection, target: IndexVersion, revisions: Sequence[int], *, limit: int
) -> list[Unembedded]:
    rows = await connection.fetch(QUERIES["unembedded"], target.id, revisions, limit)
    return [Unembedded(**row) for row in rows]


async def embedded_already(
    connection: Connection, target: IndexVersion, hashes: Collection[bytes]
) -> dict[bytes, int]:
    """The ordinal of some chunk that has a vector, for each of the texts that has one."""
    rows = await connection.fetch(QUERIES["embedded_already"], target.id, list(hashes))
    return {row["text_hash"]: row["ordinal"] for row in rows}


async def mark_embedded(
    connection: Connection, target: IndexVersion, ordinals: Sequence[int]
) -> None:
    await connection.execute(QUERIES["mark_embedded"], target.id, ordinals)


async def progress(
    connection: Connection, target: IndexVersion, revisions: Sequence[int]
) -> Mapping[int, tuple[int, int]]:
    """How many chunks a revision has, and how many of them are embedded."""
    rows = await connection.fetch(QUERIES["progress"], target.id, revisions)
    return {row["revision_id"]: (row["chunks"], row["embedded"]) for row in rows}


async def contents(
    connection: Connection, target: IndexVersion, revisions: Sequence[int]
) -> dict[int, str]:
    """The searchable text of every chunk, by ordinal."""
    rows = await connection.fetch(QUERIES["contents"], target.id, revisions)
    return {row["ordinal"]: searchable(row["context"], row["text"]) for row in rows}


async def passages(
    connection: Connection, target: IndexVersion, ordinals: Collection[int]
) -> dict[int, Passage]:
    rows = await connection.fetch(QUERIES["passages"], target.id, list(ordinals))
    return {
        row["ordinal"]: Passage(
            ordinal=row["ordinal"],
            position=row["position"],
            start=row["start_offset"],
            end=row["end_offset"],
            context=row["context"],
            text=row["text"],
            document_id=row["document_id"],
            version=row["version"],
            title=row["title"],
            metadata=orjson.loads(row["metadata"]),
        )
        for row in rows
    }
