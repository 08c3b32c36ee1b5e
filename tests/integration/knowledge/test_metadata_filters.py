"""Filters on metadata, as PostgreSQL understands them, in every mode."""

import uuid
from collections.abc import AsyncIterator

import pytest

from common.errors import InvalidRequest
from knowledge.engine import Knowledge

METADATA = {
    "a": {"year": 2024, "area": "eu", "tags": ["vip", "new"], "open": True, "price": 9.5},
    "b": {"year": 2025, "area": "us", "tags": [], "open": False, "price": 10},
    "c": {"year": "2025", "area": None},
    "d": {},
}
CASES = [
    ({}, "abcd"),
    (None, "abcd"),
    ({"area": "eu"}, "a"),
    ({"year": 2025}, "b"),
    ({"year": 2025.0}, "b"),
    ({"year": {"$gte": 2024}}, "ab"),
    ({"year": {"$gt": 2024, "$lt": 2026}}, "b"),
    ({"year": {"$gte": "2024"}}, "c"),
    ({"price": {"$lte": 9.5}}, "a"),
    ({"area": {"$ne": "eu"}}, "bcd"),
    ({"area": {"$in": ["eu", "us"]}}, "ab"),
    ({"area": {"$nin": ["eu", "us"]}}, "cd"),
    ({"area": None}, "c"),
    ({"tags": "vip"}, "a"),
    ({"tags": {"$in": ["new", "old"]}}, "a"),
    ({"tags": {"$ne": "vip"}}, "bcd"),
    ({"open": True}, "a"),
    ({"open": {"$exists": True}}, "ab"),
    ({"open": {"$exists": False}}, "cd"),
    ({"area": {"$exists": True}}, "abc"),
    ({"$or": [{"area": "eu"}, {"year": 2025}]}, "ab"),
    ({"$and": [{"year": {"$gte": 2024}}, {"open": False}]}, "b"),
    ({"year": {"$gte": 2024}, "area": "us"}, "b"),
    ({"no'quote\"": {"$exists": False}}, "abcd"),
    ({"area": "'; DROP TABLE knowledge.chunks; --"}, ""),
]


@pytest.fixture
async def stocked(engine: Knowledge, organization: uuid.UUID, finish) -> AsyncIterator[Knowledge]:
    await engine.create_collection(organization, "c")
    await engine.add_documents(
        organization,
        "c",
        [
            {"id": id, "text": f"Harbour {id}{id}.", "metadata": data}
            for id, data in METADATA.items()
        ],
    )
    await finish(engine, "c")
    return engine


async def test_every_operator_admits_what_it_says_in_every_mode(
    stocked: Knowledge, organization: uuid.UUID
) -> None:
    for filter, expected in CASES:
        for mode in ("keyword", "vector", "hybrid"):
            body = {"query": "harbour", "topK": 10, "mode": mode, "filter": filter}
            hits = await stocked.search(organization, "c", body)
            found = sorted(hit.passage.document_id for hit in hits)
            assert found == sorted(expected), (filter, mode)


@pytest.mark.parametrize(
    ("filter", "pointer"),
    [
        ({"$not": {}}, "/filter/$not"),
        ({"a": {"$regex": "x"}}, "/filter/a/$regex"),
        ({"a": {"$gt": True}}, "/filter/a/$gt"),
        ({"a": {"$in": []}}, "/filter/a/$in"),
        ({"a": {}}, "/filter/a"),
        ({"$or": []}, "/filter/$or"),
        ({"$and": [{"a": [1]}]}, "/filter/$and/0/a"),
        ("text", "/filter"),
        ({"a": {"$exists": 1}}, "/filter/a/$exists"),
        ({"a": "x\0y"}, "/filter/a"),
        ({"a": float("nan")}, "/filter/a"),
        ({"a": 2**70}, "/filter/a"),
        ({"a\0": 1}, "/filter/a\0"),
    ],
)
async def test_a_filter_that_cannot_be_read_is_refused_with_its_place(
    engine: Knowledge, organization: uuid.UUID, filter, pointer: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await engine.search(organization, "c", {"query": "x", "filter": filter})
    assert refused.value.errors[0].pointer == pointer
