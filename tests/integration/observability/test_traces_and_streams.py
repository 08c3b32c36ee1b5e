"""One trace from the request to the last answer, over every process; and streams that are what AsyncAPI says."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema
import orjson
import pytest
from otlp_receiver import Collector, Recorded
from redis.asyncio import Redis

from common.asyncapi import asyncapi_document
from kwe import Client
from kwe.examples import examples_folder
from kwe.local import crash, example
from kwe.local.stack import LocalStack

EXAMPLES = examples_folder(Path(__file__))
SERVICES = {"gateway", "orchestrator", "executor", "knowledge"}


def new_trace() -> tuple[str, str, str]:
    """A caller's own trace: header, trace id, span id."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace_id}-{span_id}-01", trace_id, span_id


def services_of(spans: list[Recorded]) -> set[str]:
    return {span.service.removeprefix("kwe-") for span in spans}


def loose_ends(spans: list[Recorded], root: str) -> list[Recorded]:
    """Spans whose parent is neither in the trace nor the caller's."""
    known = {span.span_id for span in spans} | {root}
    return [span for span in spans if span.parent_id not in known]


async def start(stack: LocalStack, workflow: str, question: str, traceparent: str) -> str:
    headers = {"Authorization": f"Bearer {stack.api_key}", "traceparent": traceparent}
    url = f"{stack.url}/v1/workflows/{workflow}/executions"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json={"input": {"question": question}}) as response,
    ):
        assert response.status == 202, await response.text()
        return str((await response.json())["id"])


@pytest.fixture
async def prepared(client: Client) -> None:
    await example.prepare(client, EXAMPLES)


async def test_the_example_is_one_unbroken_trace_over_all_services(
    stack: LocalStack, client: Client, collector: Collector, prepared: None
) -> None:
    traceparent, trace_id, root = new_trace()
    execution_id = await start(stack, example.WORKFLOW, example.QUESTION, traceparent)
    await client.wait(execution_id)
    spans = await collector.until(
        trace_id,
        lambda spans: (
            services_of(spans) >= SERVICES
            and not loose_ends(spans, root)
            and len([span for span in spans if span.name == "execution.advance"]) >= 3
        ),
    )
    assert services_of(spans) >= SERVICES
    assert loose_ends(spans, root) == []


async def test_two_executions_of_one_batch_stay_in_traces_of_their_own(
    stack: LocalStack, client: Client, collector: Collector, prepared: None
) -> None:
    traces = [new_trace() for _ in range(6)]
    ids = await asyncio.gather(
        *[start(stack, example.WORKFLOW, f"question {i}", one[0]) for i, one in enumerate(traces)]
    )
    for execution_id in ids:
        await client.wait(execution_id)
    for _, trace_id, root in traces:
        spans = await collector.until(
            trace_id,
            lambda spans, root=root: services_of(spans) >= SERVICES and not loose_ends(spans, root),
        )
        assert services_of(spans) >= SERVICES
        assert loose_ends(spans, root) == []


async def test_a_task_taken_over_after_kill_9_stays_in_the_trace(
    stack: LocalStack, client: Client, collector: Collector, prepared: None
) -> None:
    done = await crash.crash(
        stack, client, example.QUESTION, examples=EXAMPLES, say=lambda _said: None
    )
    assert done.execution.status == "completed"
    events = [event async for event in client.history(done.execution.id)]
    assert events
    trace_id = await trace_of(stack, done.execution.id)
    spans = await collector.until(trace_id, lambda spans: reviewers(spans) != set())
    survivors = reviewers(spans)
    assert survivors, "the try that finished is in the trace of the request"
    assert "orchestrator" in services_of(spans)


def reviewers(spans: list[Recorded]) -> set[str]:
    return {
        span.span_id
        for span in spans
        if span.service.endswith("executor") and "review" in span.name
    }


async def trace_of(stack: LocalStack, execution_id: str) -> str:
    redis = Redis.from_url(stack.environment.redis_url)
    try:
        entries = await redis.xrange(f"kwe:events:{stack.organization_id}")
    finally:
        await redis.aclose()
    for _, fields in entries:
        for event in orjson.loads(fields[b"m"]):
            if event["subject"] == execution_id:
                return str(event["traceparent"]).split("-")[1]
    raise AssertionError("the execution has no public events")


async def test_every_entry_of_the_live_feed_is_what_the_asyncapi_document_says(
    stack: LocalStack, client: Client, prepared: None
) -> None:
    await example.ask(client, example.QUESTION)
    document = asyncapi_document()
    schema = _payload_schema(document, "events")
    validator = jsonschema.Draft7Validator({**schema, "components": document["components"]})
    redis = Redis.from_url(stack.environment.redis_url)
    try:
        entries = await redis.xrange(f"kwe:events:{stack.organization_id}")
    finally:
        await redis.aclose()
    assert entries
    for _, fields in entries:
        validator.validate(orjson.loads(fields[b"m"]))


def _payload_schema(document: dict[str, Any], channel: str) -> dict[str, Any]:
    """The schema of what travels on a channel; references are resolved against the whole document."""
    found = next(
        each
        for each in document["channels"].values()
        if each["address"].startswith(f"kwe:{channel}:")
    )
    message = next(iter(found["messages"].values()))
    while "$ref" in message:
        message = _at(document, message["$ref"])
    payload: dict[str, Any] = message["payload"]
    return payload


def _at(document: dict[str, Any], reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found
