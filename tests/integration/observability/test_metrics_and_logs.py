"""What the running services say about themselves: metrics that were counted, and lines without secrets."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from kwe import Client
from kwe.examples import examples_folder
from kwe.local import example
from kwe.local.stack import LocalStack

EXAMPLES = examples_folder(Path(__file__))
PATIENCE_S = 40.0
SIGNALLED = "knowledge-1"
Samples = dict[tuple[str, str], float]
"""By name and by what the labels say, in the order of their names; of one service, its replicas added up."""


async def scrape(stack: LocalStack, service: str) -> Samples:
    found: Samples = {}
    async with aiohttp.ClientSession() as session:
        for status in stack.supervisor.statuses():
            if not status.name.startswith(service):
                continue
            url = f"http://127.0.0.1:{status.metrics_port}/metrics"
            async with session.get(url) as response:
                text = await response.text()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    key = sample.name, ",".join(sample.labels.values())
                    found[key] = found.get(key, 0) + sample.value
    return found


async def eventually(
    stack: LocalStack, service: str, condition: Callable[[Samples], bool]
) -> Samples:
    """The service's metrics once they are as wanted; as they are when patience ends."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        samples = await scrape(stack, service)
        if condition(samples) or asyncio.get_running_loop().time() > deadline:
            return samples
        await asyncio.sleep(0.25)


def lines(stack: LocalStack, service: str) -> list[dict[str, Any]]:
    """What its replicas logged so far; the last line may be half written."""
    text = "\n".join(
        path.read_text(errors="replace") for path in stack.environment.logs.glob(f"{service}*")
    )
    return [json.loads(line) for line in text.splitlines() if line[:1] == "{" and line[-1:] == "}"]


async def logged(
    stack: LocalStack, service: str, condition: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (found := [line for line in lines(stack, service) if condition(line)]):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.1)
    return found


@pytest.fixture
async def answered(client: Client) -> None:
    await example.prepare(client, EXAMPLES)
    await example.ask(client, example.QUESTION)


@pytest.mark.parametrize("service", ["gateway", "orchestrator", "executor", "knowledge"])
async def test_every_service_says_what_it_is_and_that_it_is_ready(
    stack: LocalStack, service: str
) -> None:
    samples = await scrape(stack, service)
    (build,) = {labels for name, labels in samples if name == "kwe_build_info"}
    assert build.split(",")[1] == service
    ready = {labels: value for (name, labels), value in samples.items() if name == "kwe_ready"}
    assert ready
    assert all(ready.values())
    assert ("kwe_database_pool_connections_max", f"kwe-{service}") in samples


async def test_an_execution_is_counted_from_request_to_answer(
    stack: LocalStack, client: Client, answered: None
) -> None:
    workflow = example.WORKFLOW.partition(":")[0]
    orchestrator = await eventually(
        stack,
        "orchestrator",
        lambda seen: seen.get(("workflow_executions_total", f"completed,{workflow}"), 0) >= 1,
    )
    assert orchestrator["workflow_executions_total", f"completed,{workflow}"] >= 1
    assert orchestrator["workflow_duration_seconds_count", f"completed,{workflow}"] >= 1
    for stage in ("deciding", "committing", "publishing", "whole"):
        assert orchestrator["kwe_batch_seconds_count", stage] >= 1
    assert sum(value for (name, _), value in orchestrator.items() if name == "kwe_partitions") == 8
    gateway = await scrape(stack, "gateway")
    started = [labels for name, labels in gateway if name == "kwe_http_requests_total"]
    assert any(labels.startswith("POST") and labels.endswith("202") for labels in started)
    executor = await scrape(stack, "executor")
    assert executor["kwe_tasks_total", "completed,llm"] >= 1
    knowledge = await scrape(stack, "knowledge")
    assert knowledge["kwe_documents_total", "ready"] >= 1
    assert knowledge["kwe_documents_waiting_seconds", ""] < PATIENCE_S
    assert knowledge["kwe_search_seconds_count", "hybrid"] >= 1


async def test_the_orchestrator_counts_what_the_stores_hold(stack: LocalStack) -> None:
    samples = await eventually(
        stack,
        "orchestrator",
        lambda seen: (
            seen.get(("kwe_database_bytes", ""), 0) > 0
            and seen.get(("kwe_redis_memory_bytes", ""), 0) > 0
            and ("kwe_stream_lag", "kwe:commands:{p0}") in seen
        ),
    )
    assert samples["kwe_orphans", ""] == 0
    assert samples["kwe_backup_timestamp_seconds", ""] == 0
    assert samples["kwe_database_bytes", ""] > 1e6
    assert samples["kwe_database_connections_max", ""] > samples["kwe_database_connections", ""] > 1
    assert samples["kwe_redis_memory_bytes", ""] > 0
    assert samples["kwe_stream_waiting_seconds", "kwe:results:{p0}"] < PATIENCE_S


async def test_organisations_have_series_where_that_was_asked_for(
    stack: LocalStack, client: Client, answered: None
) -> None:
    organization = str(stack.organization_id)
    for service, name in (
        ("gateway", "kwe_organization_requests_total"),
        ("orchestrator", "kwe_organization_executions_total"),
    ):
        samples = await scrape(stack, service)
        assert samples[name, organization] >= 1


async def test_a_request_leaves_one_line_under_its_id_and_without_its_query(
    stack: LocalStack,
) -> None:
    request_id = secrets.token_hex(8)
    headers = {"Authorization": f"Bearer {stack.api_key}", "X-Request-Id": request_id}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{stack.url}/v1/executions?limit=1&status=faulted") as response,
    ):
        assert response.headers["X-Request-Id"] == request_id
        body = await response.read()
    (line,) = await logged(stack, "gateway", lambda line: line.get("correlationId") == request_id)
    assert line["event"] == "request_answered"
    assert (line["method"], line["path"], line["route"]) == (
        "GET",
        "/v1/executions",
        "/v1/executions",
    )
    assert (line["status"], line["sent_bytes"]) == (200, len(body))
    assert line["organizationId"] == str(stack.organization_id)
    assert line["client"] == "127.0.0.1"
    assert line["seconds"] > 0
    assert "faulted" not in json.dumps(line)


async def test_a_signal_changes_the_level_of_a_running_service(stack: LocalStack) -> None:
    changed = [await changes_after_signal(stack) for _ in range(2)]
    assert changed == [["debug"], ["debug", "info"]]
    status = next(one for one in stack.supervisor.statuses() if one.name == SIGNALLED)
    assert status.restarts == 0


async def changes_after_signal(stack: LocalStack) -> list[str]:
    def seen() -> list[str]:
        told = lines(stack, SIGNALLED)
        return [line["to"] for line in told if line["event"] == "log_level_changed"]

    before = seen()
    stack.supervisor.kill(SIGNALLED, signal.SIGUSR1)
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while (now := seen()) == before:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.1)
    return now


async def test_no_line_of_any_service_has_a_key_a_question_or_a_text(
    stack: LocalStack, client: Client, answered: None
) -> None:
    text = "\n".join(path.read_text(errors="replace") for path in stack.environment.logs.iterdir())
    assert "request_answered" in text
    assert stack.api_key not in text
    assert example.QUESTION not in text
    passage = (EXAMPLES / "policies").glob("*")
    for path in passage:
        for sentence in path.read_text().splitlines():
            assert len(sentence) < 40 or sentence not in text
