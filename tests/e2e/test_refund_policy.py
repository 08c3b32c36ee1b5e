"""The example, end to end: documents in, questions answered with citations that can be checked."""

from pathlib import Path
from typing import Any

import pytest

from kwe import Client
from kwe.client.models import Execution
from kwe.examples import POLICIES, REFUND_POLICY, examples_folder
from kwe.local import example

EXAMPLES = examples_folder(Path(__file__))


@pytest.fixture
async def prepared(client: Client) -> Client:
    documents = await example.prepare(client, EXAMPLES)
    assert {document.status for document in documents} == {"ready"}
    return client


async def asked(client: Client, question: str) -> dict[str, Any]:
    told = await example.ask(client, question)
    output: dict[str, Any] = told.execution.require_completed().output
    return output


def cited_text(citation: dict[str, Any]) -> str:
    """What stands in the document where the citation points."""
    text = (EXAMPLES / POLICIES / citation["id"]).read_text()
    return text[citation["start"] : citation["end"]]


async def test_a_question_is_answered_with_citations_that_stand_in_the_documents(
    prepared: Client,
) -> None:
    output = await asked(prepared, "How long do I have to return an unused item?")
    assert "30 days" in output["answer"]
    assert output["answered"] is True
    assert output["citations"]
    for citation in output["citations"]:
        assert citation["text"] == cited_text(citation)


async def test_a_question_that_no_document_answers_says_so(prepared: Client) -> None:
    output = await asked(prepared, "Who won the chess championship of 1972?")
    assert output["answered"] is False
    assert "No document answers this question" in output["answer"]
    assert output["citations"] == []


async def test_an_edited_policy_changes_answer_and_citation(prepared: Client) -> None:
    question = "How long do I have to return an unused item?"
    original = (EXAMPLES / POLICIES / "refunds.md").read_text()
    edited = original.replace("within 30 days of delivery", "within 77 days of delivery")
    assert edited != original
    try:
        await replace(prepared, "refunds.md", edited)
        output = await asked(prepared, question)
        assert "77 days" in output["answer"]
        assert any("77 days" in citation["text"] for citation in output["citations"])
    finally:
        await replace(prepared, "refunds.md", original)
    assert "77 days" not in (await asked(prepared, question))["answer"]


async def replace(client: Client, id: str, text: str) -> None:
    document = {"id": id, "title": "Refunds", "text": text, "mediaType": "text/markdown"}
    await client.add_documents(example.COLLECTION, [document])
    assert (await client.wait_for_document(example.COLLECTION, id)).status == "ready"


async def test_preparing_again_changes_nothing(prepared: Client) -> None:
    before = await prepared.document_status(example.COLLECTION, "shipping.md")
    await example.prepare(prepared, EXAMPLES)
    assert await prepared.document_status(example.COLLECTION, "shipping.md") == before
    definition = (EXAMPLES / REFUND_POLICY / "workflow.yaml").read_text()
    assert (await prepared.apply(definition))["created"] is False


async def test_the_timeline_tells_waiting_from_working(prepared: Client) -> None:
    told = await example.ask(prepared, example.QUESTION)
    by_name = {task.name: task for task in told.tasks}
    assert list(by_name) == ["find", "answer", "conclude"]
    answer = by_name["answer"]
    assert answer.status == "completed"
    assert answer.worker
    assert answer.queued_at is not None
    assert answer.started_at is not None
    assert answer.finished_at is not None
    assert answer.queued_at <= answer.started_at <= answer.finished_at


async def test_the_events_of_an_execution_are_gap_free_and_end(prepared: Client) -> None:
    started = await prepared.start(example.WORKFLOW, {"question": example.QUESTION})
    events = [event async for event in prepared.stream(started.id) if event.sequence]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert events[-1].kind == "workflow.completed"
    rest = [event.sequence async for event in prepared.stream(started.id, after=3)]
    assert rest == list(range(4, len(events) + 1))


async def test_one_key_starts_one_execution(prepared: Client) -> None:
    question = {"question": example.QUESTION}
    first = await prepared.start(example.WORKFLOW, question, idempotency_key="order-4711")
    again = await prepared.start(example.WORKFLOW, question, idempotency_key="order-4711")
    assert first.id == again.id


async def test_searching_finds_passages_by_their_offsets(prepared: Client) -> None:
    hits = await prepared.search(example.COLLECTION, "warranty on a tent", top_k=3)
    assert hits[0].id == "warranty.md"
    text = (EXAMPLES / POLICIES / "warranty.md").read_text()
    assert hits[0].text == text[hits[0].start : hits[0].end]


async def test_no_execution_is_without_a_reason(prepared: Client) -> None:
    assert (await prepared.invariants())["ok"] is True


async def test_finished_executions_are_listed_by_label(prepared: Client) -> None:
    done: Execution = await prepared.run(
        example.WORKFLOW, {"question": example.QUESTION}, labels={"case": "c-17"}
    )
    found = [one.id async for one in prepared.list(label="case:c-17")]
    assert found == [done.id]
