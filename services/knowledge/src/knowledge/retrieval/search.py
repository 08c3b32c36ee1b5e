"""Search: one question, one snapshot, one ranking.

Both legs and the passages they lead to are read in one repeatable-read transaction, so a document that is being
replaced answers with its old text or its new one, never with both or neither.

Every hit carries evidence beside its rank. A fused score only compares the hits of one answer: the best hit of a
collection that knows nothing of the question scores 1 too. `matched` (which part of the question's terms the passage
has, rare ones counting more) and the cosine are absolute, and let the caller say that nothing was found.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

from common.errors import InvalidRequest, Unavailable, Violation
from common.metrics import SEARCH_SECONDS
from knowledge.ports import Embedder, Vector, VectorStore
from knowledge.retrieval.filters import Filter, parse
from knowledge.retrieval.fusion import CANDIDATES, VECTOR_WEIGHT, fused, ranked
from knowledge.retrieval.relevance import coverage
from knowledge.storage import chunks, collections, keywords
from knowledge.storage.chunks import Passage, searchable
from knowledge.storage.collections import IndexVersion
from knowledge.storage.keywords import Question
from knowledge.storage.queries import Connection, Pool
from knowledge.text.terms import term_counts

Mode = Literal["hybrid", "vector", "keyword"]
MODES: tuple[Mode, ...] = ("hybrid", "vector", "keyword")

TOP_K_DEFAULT, TOP_K_MAX = 5, 1_000
QUERY_CHARACTERS_MAX = 4_096
TERMS_MAX = 64
"""Of a question. A longer one keeps those it repeats most, then those it has first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    text: str
    top_k: int
    mode: Mode
    filter: Filter | None
    min_score: float | None
    deadline_ms: int | None
    """Milliseconds since the epoch after which nobody waits for the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    passage: Passage
    score: float
    """By which the hits are ranked: fused 0…1 (hybrid), BM25 (keyword) or cosine (vector)."""

    matched: float
    """Part of the question's terms, weighted by rarity, that the passage or its headings have: 0…1."""

    keyword_score: float | None
    similarity: float | None
    """What each leg gave; `None` when the passage was not among its best."""

    def as_json(self) -> dict[str, Any]:
        passage = self.passage
        return {
            "id": passage.document_id,
            "document": passage.title or passage.document_id,
            "chunk": passage.position,
            "text": passage.text,
            "score": round(self.score, 6),
            "title": passage.title,
            "section": passage.context,
            "metadata": passage.metadata,
            "start": passage.start,
            "end": passage.end,
            "version": passage.version,
            "matched": round(self.matched, 4),
            "keywordScore": _rounded(self.keyword_score),
            "similarity": _rounded(self.similarity),
        }


@dataclass(frozen=True, slots=True)
class _Legs:
    question: Question
    keyword: Mapping[int, float]
    vector: Mapping[int, float]


class Searcher:
    def __init__(
        self, pool: Pool, embedders: Mapping[str, Embedder], stores: Mapping[str, VectorStore]
    ) -> None:
        """`embedders` by model, `stores` by name: an index version is searched with what it was made with."""
        self._pool = pool
        self._embedders = embedders
        self._stores = stores

    async def search(self, organization_id: UUID, collection: str, query: Query) -> list[Hit]:
        started = time.monotonic()
        refuse_if_late(query.deadline_ms)
        occurrences = _question_terms(query.text)
        async with self._pool.acquire() as connection:
            target = await collections.active_index(connection, organization_id, collection)
        vector = await self._vector(target, query)
        async with (
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            # A plan made for a large tenant must not serve a small one.
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            refuse_if_late(query.deadline_ms)
            legs = await self._legs(connection, target, query, occurrences, vector)
            hits = await _hits(connection, target, query, legs)
        SEARCH_SECONDS.labels(query.mode).observe(time.monotonic() - started)
        return hits

    async def _vector(self, target: IndexVersion, query: Query) -> Vector | None:
        if query.mode == "keyword":
            return None
        embedder = self._embedders.get(target.model)
        if embedder is None:
            raise Unavailable(
                f"The collection was indexed with the model {target.model}, which this service is not set up for; "
                "search with mode keyword, or set EMBEDDING_PROVIDER and EMBEDDING_MODEL back.",
                code="embedding_model_unavailable",
            )
        vectors, _ = await embedder.embed([query.text])
        row: Vector = vectors[0]
        return row

    async def _legs(
        self,
        connection: Connection,
        target: IndexVersion,
        query: Query,
        occurrences: Mapping[str, int],
        vector: Vector | None,
    ) -> _Legs:
        limit = max(CANDIDATES, query.top_k)
        question = await keywords.weigh(connection, target, occurrences)
        by_keyword: Mapping[int, float] = {}
        by_vector: Mapping[int, float] = {}
        if query.mode != "vector" and occurrences:
            by_keyword = await keywords.best(
                connection, target, question, limit=limit, filter=query.filter
            )
        if vector is not None:
            store = self._stores[target.vector_store]
            by_vector = await store.nearest(
                connection, target, vector, limit=limit, filter=query.filter
            )
        return _Legs(question, by_keyword, by_vector)


def read_query(body: Mapping[str, Any], *, deadline_ms: int | None = None) -> Query:
    """From `{query, topK?, mode?, filter?, minScore?}`. Raise `InvalidRequest` naming every place that is wrong."""
    text, top_k = body.get("query"), body.get("topK", TOP_K_DEFAULT)
    mode, min_score = body.get("mode") or "hybrid", body.get("minScore")
    checks = [
        ("query", isinstance(text, str) and 0 < len(text.strip()) <= QUERY_CHARACTERS_MAX,
         f"should be a question of 1 to {QUERY_CHARACTERS_MAX} characters"),
        ("topK", _is_whole(top_k) and 1 <= top_k <= TOP_K_MAX, f"should be a whole number from 1 to {TOP_K_MAX}"),
        ("mode", mode in MODES, f"should be one of {', '.join(MODES)}"),
        ("minScore", min_score is None or _is_number(min_score), "should be a number"),
        ("rerank", not body.get("rerank"), "is not available; leave it out"),
    ]  # fmt: skip
    problems = [Violation(f"/{name}", advice) for name, right, advice in checks if not right]
    if problems:
        raise InvalidRequest(
            f"The search cannot be read: {problems[0].pointer} {problems[0].detail}.",
            code="invalid_search",
            errors=problems,
        )
    return Query(
        text=str(text).replace("\0", " "),
        top_k=int(top_k),
        mode=cast("Mode", mode),  # It is one of MODES, as was just checked.
        filter=parse(body.get("filter")),
        min_score=None if min_score is None else float(min_score),
        deadline_ms=deadline_ms,
    )


def refuse_if_late(deadline_ms: int | None) -> None:
    """Work whose result nobody waits for only delays those who do."""
    if deadline_ms is not None and time.time() * 1000 > deadline_ms:
        raise Unavailable(
            "The search was begun after its deadline, so it was not made.", code="deadline_passed"
        )


def _is_whole(value: Any) -> bool:
    # JSON does not tell 5 from 5.0, and expressions of workflows produce either.
    return _is_number(value) and float(value).is_integer()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _question_terms(text: str) -> Mapping[str, int]:
    counts = term_counts(text)
    kept = sorted(counts.items(), key=lambda item: -item[1])[:TERMS_MAX]
    return dict(kept)


async def _hits(
    connection: Connection, target: IndexVersion, query: Query, legs: _Legs
) -> list[Hit]:
    best = ranked(_scores(query.mode, legs), limit=query.top_k)
    if query.min_score is not None:
        best = [(ordinal, score) for ordinal, score in best if score >= query.min_score]
    found = await chunks.passages(connection, target, [ordinal for ordinal, _ in best])
    return [
        Hit(
            passage=found[ordinal],
            score=score,
            matched=_matched(legs.question, found[ordinal]),
            keyword_score=legs.keyword.get(ordinal),
            similarity=legs.vector.get(ordinal),
        )
        for ordinal, score in best
    ]


def _scores(mode: Mode, legs: _Legs) -> Mapping[int, float]:
    match mode:
        case "keyword":
            return legs.keyword
        case "vector":
            return legs.vector
        case "hybrid":
            return fused(legs.keyword, legs.vector, vector_weight=VECTOR_WEIGHT)


def _matched(question: Question, passage: Passage) -> float:
    present = term_counts(searchable(passage.context, passage.text))
    return coverage(question.rarities, present.keys())


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 6)
