"""The policy documents that ship as an example answer the questions that are suggested for them."""

import uuid
from pathlib import Path

import pytest

from knowledge.engine import Knowledge

POLICIES = Path(__file__).parents[3] / "examples" / "policies"
ANSWERS = [
    ("How long can I return an unused item?", "refunds", "within 30 days"),
    ("How much do I get back for opened software?", "refunds", "50 percent"),
    ("Who approves a refund of 2,500 euros?", "refunds", "finance department"),
    ("What does express delivery to Norway cost?", "shipping", "34.90 euros"),
    ("When does a parcel to Germany count as lost?", "shipping", "10 working days"),
    ("How long is the warranty on a tent?", "warranty", "5 years"),
    ("Does the warranty cover batteries?", "warranty", "12 months"),
    ("Can I get my money back for worn boots?", "refunds", "60 percent"),
    ("Is there a refund for a gift card?", "refunds", "gift cards"),
]


@pytest.fixture
async def stocked(engine: Knowledge, organization: uuid.UUID, finish) -> Knowledge:
    await engine.create_collection(organization, "policies")
    documents = [
        {
            "id": path.stem,
            "text": path.read_text(encoding="utf-8"),
            "metadata": {"source": path.name},
        }
        for path in sorted(POLICIES.glob("*.md"))
    ]
    await engine.add_documents(organization, "policies", documents)
    finished = await finish(engine, "policies")
    assert {document.id: document.status for document in finished} == dict.fromkeys(
        ("refunds", "shipping", "warranty"), "ready"
    )
    assert {document.title for document in finished} == {None}
    return engine


async def test_each_question_finds_its_answer_among_the_first_three(
    stocked: Knowledge, organization: uuid.UUID
) -> None:
    for question, document, words in ANSWERS:
        hits = await stocked.search(organization, "policies", {"query": question, "topK": 3})
        found = [hit for hit in hits if words in hit.passage.text]
        assert found, question
        assert found[0].passage.document_id == document, question


async def test_passages_are_exactly_what_stands_at_their_offsets(
    stocked: Knowledge, organization: uuid.UUID
) -> None:
    hits = await stocked.search(organization, "policies", {"query": "euros", "topK": 100})
    for hit in hits:
        source = (POLICIES / f"{hit.passage.document_id}.md").read_text(encoding="utf-8")
        assert source[hit.passage.start : hit.passage.end] == hit.passage.text


async def test_a_question_that_no_document_answers_matches_little(
    stocked: Knowledge, organization: uuid.UUID
) -> None:
    answered = await stocked.search(
        organization, "policies", {"query": "How long is the warranty on a tent?"}
    )
    unanswered = await stocked.search(
        organization, "policies", {"query": "Who won the chess championship in Reykjavik?"}
    )
    assert answered[0].matched > 0.9
    assert max(hit.matched for hit in unanswered) < 0.3
