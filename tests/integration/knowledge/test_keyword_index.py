"""The keyword index in SQL against BM25 written out in Python, through additions, replacements and merges."""

import math
import random
import uuid
from collections import Counter

import pytest

from knowledge.engine import Knowledge
from knowledge.storage.index import MERGE_AT
from knowledge.text.terms import term_counts

WORDS = [f"w{number}x" for number in range(60)]
K1, B = 1.2, 0.75


def reference(texts: dict[str, str], query: str) -> dict[str, float]:
    counts = {id: term_counts(text) for id, text in texts.items()}
    lengths = {id: sum(terms.values()) for id, terms in counts.items()}
    average = sum(lengths.values()) / len(lengths)
    scores: Counter[str] = Counter()
    for term, times in term_counts(query).items():
        having = [id for id in texts if term in counts[id]]
        idf = math.log(1 + (len(texts) - len(having) + 0.5) / (len(having) + 0.5))
        for id in having:
            frequency = counts[id][term]
            norm = K1 * (1 - B + B * lengths[id] / average)
            scores[id] += times * idf * frequency * (K1 + 1) / (frequency + norm)
    return dict(scores)


async def check(
    engine: Knowledge, organization: uuid.UUID, texts: dict[str, str], query: str
) -> None:
    hits = await engine.search(organization, "c", {"query": query, "mode": "keyword", "topK": 100})
    expected = reference(texts, query)
    assert {hit.passage.document_id for hit in hits} == set(expected)
    for hit in hits:
        assert hit.score == pytest.approx(expected[hit.passage.document_id], rel=1e-6)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def drain(engine: Knowledge) -> None:
    while await engine.pipeline.run_once():
        pass


async def test_scores_are_those_of_bm25_whatever_was_added_replaced_and_merged(
    engines, organization, pool
) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    engine = engines.make()
    await engine.create_collection(organization, "c")
    texts: dict[str, str] = {}

    async def add(count: int) -> None:
        new = {
            f"d{dice.randrange(40)}": " ".join(dice.choices(WORDS, k=dice.randrange(3, 40)))
            for _ in range(count)
        }
        texts.update(new)
        await engine.add_documents(
            organization,
            "c",
            [{"id": id, "text": text, "mediaType": "text/plain"} for id, text in new.items()],
        )
        await drain(engine)

    for _ in range(MERGE_AT + 2):
        await add(4)
    before = await pool.fetchval("SELECT count(*) FROM knowledge.segments")
    assert before >= MERGE_AT
    while await engine.pipeline.merge_once():
        pass
    assert await pool.fetchval("SELECT count(*) FROM knowledge.segments") < MERGE_AT
    # What was replaced before the merge is swept out by it, so frequencies are exact again.
    assert await pool.fetchval("SELECT count(*) FROM knowledge.tombstones") == 0
    for _ in range(10):
        await check(engine, organization, texts, " ".join(dice.choices(WORDS, k=4)))
    gone = min(texts)
    del texts[gone]
    await engine.delete_document(organization, "c", gone)
    hits = await engine.search(organization, "c", {"query": " ".join(WORDS), "topK": 100})
    assert gone not in {hit.passage.document_id for hit in hits}
    await engine.close()


async def test_terms_that_occur_nowhere_find_nothing_and_lower_the_match(
    engine, organization, finish
) -> None:
    await engine.create_collection(organization, "c")
    await engine.add_documents(organization, "c", [{"text": "A fine harbour in the north."}])
    await finish(engine, "c")
    nothing = await engine.search(
        organization, "c", {"query": "zeppelin airship", "mode": "keyword"}
    )
    assert nothing == []
    (hit,) = await engine.search(organization, "c", {"query": "harbour zeppelin"})
    assert 0 < hit.matched < 0.5


async def test_a_question_of_nothing_but_stop_words_falls_back_to_vectors(
    engine, organization, finish
) -> None:
    await engine.create_collection(organization, "c")
    await engine.add_documents(organization, "c", [{"text": "A fine harbour in the north."}])
    await finish(engine, "c")
    (hit,) = await engine.search(organization, "c", {"query": "what is the?"})
    assert (hit.matched, hit.keyword_score) == (0.0, None)
    assert hit.similarity is not None


async def test_languages_without_spaces_are_found_too(engine, organization, finish) -> None:
    await engine.create_collection(organization, "c")
    await engine.add_documents(
        organization,
        "c",
        [
            {"id": "ja", "text": "商品は三十日以内に返品できます。"},
            {"id": "en", "text": "Returns."},
        ],
    )
    await finish(engine, "c")
    hits = await engine.search(organization, "c", {"query": "返品", "mode": "keyword"})
    assert [hit.passage.document_id for hit in hits] == ["ja"]
