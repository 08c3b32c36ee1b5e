"""The keyword index, and the one transaction in which a revision becomes searchable."""

from collections.abc import Mapping, Sequence
from itertools import chain

from knowledge.storage.collections import QUERIES as COLLECTION_QUERIES
from knowledge.storage.collections import IndexVersion
from knowledge.storage.queries import Connection, load_queries
from knowledge.storage.work import Batch

QUERIES = load_queries("index.sql")

SMALLINT_MAX = 32_767

MERGE_AT = 8
"""Segments of one level that are merged into one of the next: each posting is rewritten log₈ n times."""

TermCounts = Mapping[int, Mapping[str, int]]
"""How often each term occurs in each chunk, by ordinal."""


async def publish(connection: Connection, batch: Batch, counts: TermCounts) -> None:
    """Put the batch's revisions in place of those before. Within a transaction that holds the documents' locks."""
    target = batch.target
    await connection.fetchrow(COLLECTION_QUERIES["lock_index"], target.id)
    await withdraw(connection, target, batch.ids)
    versions = [document.version for document in batch.documents]
    await connection.execute(
        QUERIES["delete_older_revisions"], target.collection_id, batch.ids, versions
    )
    await _add_segment(connection, target, counts)
    lengths = [sum(terms.values()) for terms in counts.values()]
    await connection.execute(QUERIES["make_live"], target.id, list(counts), lengths)
    await connection.execute(
        COLLECTION_QUERIES["adjust_totals"], target.id, len(counts), sum(lengths)
    )


async def withdraw(
    connection: Connection, target: IndexVersion, document_ids: Sequence[str]
) -> None:
    """Take the live chunks of documents out of the keyword index; the rows are the caller's to delete."""
    rows = await connection.fetch(
        QUERIES["outdated"], target.id, target.collection_id, document_ids
    )
    if not rows:
        return
    await connection.execute(
        QUERIES["bury"], target.organization_id, target.id, [row["ordinal"] for row in rows]
    )
    removed_terms = sum(row["terms"] for row in rows)
    await connection.execute(
        COLLECTION_QUERIES["adjust_totals"], target.id, -len(rows), -removed_terms
    )


async def _add_segment(connection: Connection, target: IndexVersion, counts: TermCounts) -> None:
    ordinals = sorted(counts)
    owner = target.organization_id
    segment_id = await connection.fetchval(QUERIES["insert_segment"], owner, target.id, 0, ordinals)
    postings: dict[str, list[tuple[int, int, int]]] = {}
    for ordinal in ordinals:
        length = min(sum(counts[ordinal].values()), SMALLINT_MAX)
        for term, frequency in counts[ordinal].items():
            entry = (ordinal, min(frequency, SMALLINT_MAX), length)
            postings.setdefault(term, []).append(entry)
    flat = list(chain.from_iterable(postings.values()))
    await connection.execute(
        QUERIES["insert_postings"],
        owner,
        segment_id,
        list(postings),
        [len(entries) for entries in postings.values()],
        [ordinal for ordinal, _, _ in flat],
        [frequency for _, frequency, _ in flat],
        [length for _, _, length in flat],
    )


async def indexes_to_merge(connection: Connection) -> list[IndexVersion]:
    rows = await connection.fetch(QUERIES["indexes_to_merge"], MERGE_AT)
    found = [
        await connection.fetchrow(QUERIES["index_by_id"], row["index_version_id"]) for row in rows
    ]
    return [IndexVersion(**row) for row in found if row is not None]


async def merge_segments(connection: Connection, target: IndexVersion) -> bool:
    """Merge the lowest level that is full, dropping what is buried. Whether there was one.

    On one snapshot and without the index's lock, so that ingestion goes on meanwhile: it only adds segments and
    tombstones, and those that the snapshot does not show are left as they are.
    """
    async with connection.transaction(isolation="repeatable_read"):
        if not await connection.fetchval(QUERIES["lock_merging"], target.id):
            return False
        level = await connection.fetchrow(QUERIES["widest_level"], target.id, MERGE_AT)
        if level is None:
            return False
        merged: list[int] = level["segments"]
        surviving = await connection.fetchval(QUERIES["surviving_ordinals"], merged, target.id)
        segment_id = await connection.fetchval(
            QUERIES["insert_segment"],
            target.organization_id,
            target.id,
            level["level"] + 1,
            surviving,
        )
        await connection.execute(
            QUERIES["merge_postings"], target.organization_id, segment_id, merged, target.id
        )
        await connection.execute(QUERIES["forget_tombstones"], merged, target.id)
        await connection.execute(QUERIES["delete_segments"], merged)
    return True
