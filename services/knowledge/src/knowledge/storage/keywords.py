"""The keyword leg of search: BM25, scored in SQL from packed posting lists."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from knowledge.retrieval.filters import Filter, to_sql
from knowledge.retrieval.relevance import K1, B, rarity
from knowledge.storage.collections import IndexVersion
from knowledge.storage.queries import Connection, load_queries

QUERIES = load_queries("keywords.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The terms of a question, and what they are worth in one collection."""

    occurrences: Mapping[str, int]
    rarities: Mapping[str, float]
    """Of every term; one that occurs nowhere has the greatest."""

    average_length: float


async def weigh(
    connection: Connection, target: IndexVersion, occurrences: Mapping[str, int]
) -> Question:
    row = await connection.fetchrow(QUERIES["frequencies"], target.id, list(occurrences))
    if row is None:
        return Question(occurrences=occurrences, rarities={}, average_length=1.0)
    containing = dict(zip(row["terms"], row["containing"], strict=True))
    passages = row["live_chunks"]
    return Question(
        occurrences=occurrences,
        rarities={
            term: rarity(passages=passages, containing=int(containing.get(term, 0)))
            for term in occurrences
        },
        average_length=max(row["live_terms"] / max(passages, 1), 1.0),
    )


async def best(
    connection: Connection,
    target: IndexVersion,
    question: Question,
    *,
    limit: int,
    filter: Filter | None,
) -> dict[int, float]:
    """The best live chunks and their scores, best first."""
    weights = [question.rarities[term] * count for term, count in question.occurrences.items()]
    arguments: list[Any] = [
        target.id,
        list(question.occurrences),
        weights,
        question.average_length,
        K1,
        B,
        limit,
    ]
    condition = "" if filter is None else f"AND ordinal IN ({admitted(filter, arguments)})"
    sql = QUERIES["best"].replace("{condition}", condition)
    rows = await connection.fetch(sql, *arguments)
    return {row["ordinal"]: row["score"] for row in rows}


def admitted(filter: Filter, arguments: list[Any]) -> str:
    """A query for the ordinals that `filter` admits; $1 is the index version. Appends to `arguments`."""

    def bind(value: Any) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    return (
        "SELECT c.ordinal FROM knowledge.chunks c JOIN knowledge.revisions r ON r.id = c.revision_id "
        f"WHERE c.index_version_id = $1 AND c.live AND {to_sql(filter, 'r.metadata', bind)}"
    )
