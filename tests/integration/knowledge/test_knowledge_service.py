"""The service on real streams: requests are answered, tasks give results."""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from common.contracts.base import Message, encode
from common.contracts.knowledge import (
    AddDocuments,
    CreateCollection,
    DeleteCollection,
    DeleteDocument,
    Search,
)
from common.contracts.tasks import TaskFailed, TaskRequested, TaskSucceeded
from common.contracts.wire import decode_for_orchestrator
from common.migrations import migrate
from common.settings import KnowledgeSettings
from common.streams import names
from common.streams.connection import Link
from common.streams.publisher import Outgoing, Publisher
from common.streams.requests import Requester
from embedded import EmbeddedPostgres
from knowledge.app import knowledge_service

PATIENCE_SECONDS = 60
POLICY = "# Warranty\n\nBatteries are covered for 12 months, everything else for 24 months."


class Caller:
    """What gateway and orchestrator do with the service."""

    def __init__(self, requester: Requester, publisher: Publisher, link: Link) -> None:
        self._requester = requester
        self._publisher = publisher
        self._link = link

    async def ask(self, request: Message, queue: str = "knowledge.ingest"):
        return await self._requester.ask(request, names.tasks(queue), timeout_s=PATIENCE_SECONDS)

    async def run(self, organization: uuid.UUID, function: str, queue: str, input):
        """Publish a task and wait for its result, as the orchestrator does."""
        task = TaskRequested(
            organization_id=organization,
            execution_id=uuid.uuid4(),
            key="task",
            task_id=uuid.uuid4(),
            attempt=1,
            function=function,
            workflow_id="support/refund-policy",
            name="find",
            reference="/do/0/find",
            partition=3,
            input=input,
        )
        await self._publisher.publish([Outgoing(names.tasks(queue), encode(task))])
        return await self._result_of(task)

    async def _result_of(self, task: TaskRequested):
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            reply = await self._link.call(
                b"XREAD", b"BLOCK", 1000, b"STREAMS", names.results(3), b"0"
            )
            for _, fields in reply[0][1] if reply else []:
                message = decode_for_orchestrator(fields[1])
                is_result = isinstance(message, TaskSucceeded | TaskFailed)
                if is_result and message.task_id == task.task_id:
                    return message
        raise AssertionError("the task got no result")


@asynccontextmanager
async def calling(redis_url: str) -> AsyncIterator[Caller]:
    sender, reader, link = (Link(redis_url, timeout_s=10) for _ in range(3))
    publisher = Publisher(sender)
    requester = Requester(publisher, reader, instance=f"test-{uuid.uuid4().hex}")
    async with requester.running():
        yield Caller(requester, publisher, link)
    for one in (sender, reader, link):
        await one.close()


@pytest.fixture
async def caller(database: str, redis_url: str) -> AsyncIterator[Caller]:
    settings = KnowledgeSettings(
        database_url=SecretStr(database), redis_url=SecretStr(redis_url), metrics_port=0
    )
    async with knowledge_service(settings) as health, calling(redis_url) as caller:
        assert await health.reasons() == {}
        yield caller


async def test_a_collection_is_made_filled_searched_and_deleted_by_requests(
    caller: Caller, organization: uuid.UUID
) -> None:
    create = CreateCollection(organization_id=organization, name="policies")
    created = await caller.ask(create)
    assert (created.status, created.body["name"]) == (201, "policies")
    assert (await caller.ask(create.model_copy(update={"message_id": uuid.uuid4()}))).status == 409

    added = await caller.ask(
        AddDocuments(
            organization_id=organization,
            collection="policies",
            documents=[{"id": "warranty", "text": POLICY, "mediaType": None}],
        )
    )
    assert added.status == 202
    assert added.body["documents"][0]["id"] == "warranty"

    search = Search(organization_id=organization, collection="policies", query="batteries months")
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    hits: list = []
    while not hits and time.monotonic() < give_up_at:
        again = search.model_copy(update={"message_id": uuid.uuid4()})
        hits = (await caller.ask(again, "knowledge.search")).body["hits"]
    assert POLICY[hits[0]["start"] : hits[0]["end"]] == hits[0]["text"]
    assert hits[0]["matched"] == 1.0

    gone = DeleteDocument(
        organization_id=organization, collection="policies", document_id="warranty"
    )
    assert (await caller.ask(gone)).status == 204
    again = search.model_copy(update={"message_id": uuid.uuid4()})
    assert (await caller.ask(again, "knowledge.search")).body == {"hits": []}
    assert (
        await caller.ask(DeleteCollection(organization_id=organization, name="policies"))
    ).status == 204
    again = search.model_copy(update={"message_id": uuid.uuid4()})
    refused = await caller.ask(again, "knowledge.search")
    assert (refused.status, refused.code) == (404, "collection_not_found")


async def test_a_request_that_is_delivered_twice_gets_the_same_answer(
    caller: Caller, organization: uuid.UUID
) -> None:
    create = CreateCollection(organization_id=organization, name="policies")
    first = await caller.ask(create)
    # Its claim keeps the very same message from running again, so the copy goes by another queue.
    second = await caller.ask(create, "knowledge.search")
    assert second.body == first.body


async def test_what_is_wrong_with_a_request_is_pointed_at(
    caller: Caller, organization: uuid.UUID
) -> None:
    bad_name = await caller.ask(CreateCollection(organization_id=organization, name="No Spaces!"))
    assert (bad_name.status, bad_name.body["errors"][0]["pointer"]) == (400, "/name")
    await caller.ask(CreateCollection(organization_id=organization, name="policies"))
    bad = await caller.ask(
        AddDocuments(
            organization_id=organization,
            collection="policies",
            documents=[{"text": "fine"}, {"text": "  "}, {"txt": "?"}],
        )
    )
    pointers = {error["pointer"] for error in bad.body["errors"]}
    assert bad.status == 400
    assert {"/documents/1/text", "/documents/2/text", "/documents/2/txt"} <= pointers


async def test_ingest_then_search_as_a_workflow_does(
    caller: Caller, organization: uuid.UUID
) -> None:
    await caller.ask(CreateCollection(organization_id=organization, name="policies"))
    ingested = await caller.run(
        organization,
        "ingest:1.0.0",
        "knowledge.ingest",
        {"collection": "policies", "documents": [{"id": "warranty", "text": POLICY}]},
    )
    assert ingested.output == {"documents": [{"id": "warranty", "chunks": 1, "status": "ready"}]}
    found = await caller.run(
        organization,
        "search:1.0.0",
        "knowledge.search",
        {"collection": "policies", "query": "How long are batteries covered?", "topK": 1},
    )
    assert [hit["id"] for hit in found.output["hits"]] == ["warranty"]


async def test_embed_gives_unit_vectors_and_says_what_they_cost(
    caller: Caller, organization: uuid.UUID
) -> None:
    result = await caller.run(
        organization, "embed:1.0.0", "knowledge.search", {"texts": ["refund"]}
    )
    assert result.output["dimensions"] == len(result.output["vectors"][0]) == 256
    assert abs(sum(value**2 for value in result.output["vectors"][0]) - 1) < 1e-3
    assert result.usage["inputTokens"] == result.output["usage"]["inputTokens"] > 0


async def test_a_search_in_an_unknown_collection_fails_its_task_for_good(
    caller: Caller, organization: uuid.UUID
) -> None:
    result = await caller.run(
        organization, "search:1.0.0", "knowledge.search", {"collection": "none", "query": "x"}
    )
    assert isinstance(result, TaskFailed)
    assert (result.error["status"], result.retryable) == (404, False)
    assert b"none" in orjson.dumps(result.error)


async def test_an_outage_of_postgresql_is_a_refusal_to_repeat_later_and_passes(
    redis_url: str, organization: uuid.UUID, server_folder: Path, ports: Any
) -> None:
    server = EmbeddedPostgres(ports.keep_for(server_folder / f"outage-{organization}"))
    await server.start()
    await migrate(server.dsn)
    settings = KnowledgeSettings(
        database_url=SecretStr(server.dsn), redis_url=SecretStr(redis_url), metrics_port=0
    )
    search = Search(organization_id=organization, collection="policies", query="batteries")

    async def status() -> int:
        again = search.model_copy(update={"message_id": uuid.uuid4()})
        return (await caller.ask(again, "knowledge.search")).status

    async with knowledge_service(settings) as health, calling(redis_url) as caller:
        await caller.ask(CreateCollection(organization_id=organization, name="policies"))
        assert await status() == 200
        await server.stop()
        refused = await caller.ask(search, "knowledge.search")
        assert (refused.status, refused.code) == (503, "database_unavailable")
        assert refused.retry_after_s
        assert "database" in await health.reasons()
        await server.start()
        # The connections of before are dead, and the caller does not notice.
        assert await status() == 200
    await server.stop()
