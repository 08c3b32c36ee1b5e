"""From an added document to hits with exact places."""

import uuid

from knowledge.engine import Knowledge

REFUNDS = """# Refund policy

## Time limit

You may return an unused item within 30 days of delivery for a full refund.

## Opened software

Opened software is refunded at 50 percent of its price.
"""
SHIPPING = """# Shipping

Standard delivery takes 3 to 5 working days and costs 4.90 euros. It is free above 60 euros.
"""


async def stocked(engine: Knowledge, organization: uuid.UUID, finish) -> None:
    await engine.create_collection(organization, "policies")
    await engine.add_documents(
        organization,
        "policies",
        [
            {"id": "refunds", "text": REFUNDS, "metadata": {"area": "returns", "year": 2024}},
            {
                "id": "shipping",
                "title": "Shipping",
                "text": SHIPPING,
                "metadata": {"area": "delivery"},
            },
        ],
    )
    documents = await finish(engine, "policies")
    assert [document.status for document in documents] == ["ready", "ready"]


async def test_the_best_hit_is_the_passage_that_answers(
    engine: Knowledge, organization: uuid.UUID, finish
) -> None:
    await stocked(engine, organization, finish)
    for mode in ("hybrid", "keyword", "vector"):
        hits = await engine.search(
            organization, "policies", {"query": "How much for opened software?", "mode": mode}
        )
        best = hits[0].as_json()
        assert best["id"] == "refunds"
        assert REFUNDS[best["start"] : best["end"]] == best["text"]
        assert "50 percent" in best["text"], mode
        assert best["metadata"] == {"area": "returns", "year": 2024}
