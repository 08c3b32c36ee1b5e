"""Starting, showing and controlling executions over HTTP."""

import asyncio
from typing import Any
from uuid import UUID

import orjson
import pytest

from common.contracts.executions import CancelExecution, StartExecution
from common.ids import uuid7
from common.security import Scope
from common.streams.connection import Link

START = "/v1/workflows/support/refunds/executions"


async def test_a_start_is_answered_with_202_location_and_key(gateway: Any, owners: Any) -> None:
    async with gateway.client.post(
        START, json={"input": {"a": 1}, "labels": {"team": "x"}}
    ) as answer:
        body = await answer.json()
        assert answer.status == 202
        assert answer.headers["Location"] == f"/v1/executions/{body['id']}"
        assert answer.headers["Idempotency-Key"] == body["idempotencyKey"]
        assert "Idempotent-Replayed" not in answer.headers
    (sent,) = owners.asked_for(StartExecution)
    assert (sent.input, sent.labels, sent.workflow_id) == (
        {"a": 1},
        {"team": "x"},
        "support/refunds",
    )
    assert str(sent.execution_id) == body["id"]
    assert sent.traceparent


async def test_a_missing_input_is_an_empty_object(gateway: Any, owners: Any) -> None:
    async with gateway.client.post(START, json={}) as answer:
        assert answer.status == 202
    assert owners.asked_for(StartExecution)[0].input == {}


async def test_the_same_request_has_the_same_fingerprint_whatever_the_order_of_its_keys(
    gateway: Any, owners: Any
) -> None:
    for raw in (
        b'{"input": {"a": 1, "b": 2}}',
        b'{"input":{"b":2,"a":1}}',
        b'{"input":{"b":2,"a":3}}',
    ):
        async with gateway.client.post(START, data=raw, headers={"Idempotency-Key": "k"}) as answer:
            assert answer.status == 202
    first, second, third = [sent.fingerprint for sent in owners.asked_for(StartExecution)]
    assert first == second != third


async def test_a_replay_is_flagged_and_gives_the_first_execution(
    gateway: Any, owners: Any, rows: Any, tools: Any
) -> None:
    earlier = await rows.execution(status="waiting")

    async def replay(message: StartExecution) -> Any:
        return tools.reply_to(message, 202, {"id": str(earlier), "status": "", "replayed": True})

    owners.answer(StartExecution, replay)
    async with gateway.client.post(START, json={}, headers={"Idempotency-Key": "k"}) as answer:
        body = await answer.json()
        assert answer.headers["Idempotent-Replayed"] == "true"
    assert (body["id"], body["status"]) == (str(earlier), "waiting")


async def test_what_the_orchestrator_refuses_keeps_its_status_and_code(
    gateway: Any, owners: Any, tools: Any
) -> None:
    async def refuse(message: StartExecution) -> Any:
        return tools.reply_to(message, 429, code="concurrency", detail="Full.", retry_after_s=3)

    owners.answer(StartExecution, refuse)
    async with gateway.client.post(START, json={}) as answer:
        body = await answer.json()
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "3"
        assert answer.content_type == "application/problem+json"
    assert body["code"] == "concurrency"
    assert body["requestId"] == answer.headers["X-Request-Id"]


async def test_large_inputs_are_stored_before_the_message_that_names_them(
    gateway: Any, owners: Any, rows: Any
) -> None:
    text = "x" * 10_000
    async with gateway.client.post(START, json={"input": {"text": text}}) as answer:
        assert answer.status == 202
    (sent,) = owners.asked_for(StartExecution)
    assert sent.input is None
    row = await rows.connection.fetchrow(
        "SELECT organization_id, bytes, sha256 = sha256(bytes) AS same FROM workflow.payloads WHERE owner_id = $1 AND id = $2",
        sent.execution_id,
        sent.input_ref.id,
    )
    assert orjson.loads(row["bytes"]) == {"text": text}
    assert row["same"]
    assert sent.input_ref.size == len(row["bytes"])


async def test_without_an_answer_the_key_is_looked_up(
    start_gateway: Any, owners: Any, rows: Any
) -> None:
    async def commit_and_die(message: StartExecution) -> None:
        await rows.execution(id=message.execution_id)
        await rows.connection.execute(
            "INSERT INTO workflow.idempotency VALUES ($1, $2, $3, $4, $5, now() + interval '1 day')",
            message.organization_id,
            message.route,
            message.idempotency_key,
            message.fingerprint,
            message.execution_id,
        )

    owners.answer(StartExecution, commit_and_die)
    async with (
        start_gateway(reply_timeout="300ms") as gateway,
        gateway.client.post(START, json={}) as answer,
    ):
        assert answer.status == 202
        body = await answer.json()
    assert body["id"] == str(owners.asked_for(StartExecution)[0].execution_id)


async def test_without_any_trace_of_it_the_outcome_is_unknown_and_says_how_to_repeat(
    start_gateway: Any, owners: Any
) -> None:
    async def die(_message: StartExecution) -> None:
        return None

    owners.answer(StartExecution, die)
    async with start_gateway(reply_timeout="200ms") as gateway:
        headers = {"Idempotency-Key": "mine"}
        async with gateway.client.post(START, json={}, headers=headers) as answer:
            body = await answer.json()
            assert answer.status == 503
            assert "Retry-After" in answer.headers
    assert (body["code"], body["idempotencyKey"]) == ("outcome_unknown", "mine")
    assert body["executionId"] == str(owners.asked_for(StartExecution)[0].execution_id)


async def test_wait_answers_with_the_finished_execution(
    gateway: Any, owners: Any, rows: Any, tools: Any, now_ms: int
) -> None:
    async def accept_and_finish_later(message: StartExecution) -> Any:
        await rows.execution(id=message.execution_id)
        later.append(message.execution_id)
        body = {"id": str(message.execution_id), "status": "running", "replayed": False}
        return tools.reply_to(message, 202, body)

    later: list[UUID] = []
    owners.answer(StartExecution, accept_and_finish_later)
    request = asyncio.create_task(gateway.client.post(START, params={"wait": "10"}, json={}))
    await tools.eventually(lambda: asyncio.sleep(0, bool(later)), "the start arrives")
    await rows.finish(later[0], {"text": "yes"})
    await owners.publish(later[0], 1, {"type": "workflow.completed", "at": now_ms, "output": 1})
    async with await request as answer:
        body = await answer.json()
        assert answer.status == 200
    assert (body["status"], body["output"]) == ("completed", {"text": "yes"})


async def test_wait_answers_202_when_the_time_is_over(gateway: Any) -> None:
    async with gateway.client.post(START, params={"wait": "0.2"}, json={}) as answer:
        assert answer.status == 202


async def test_an_execution_says_why_it_waits(gateway: Any, rows: Any) -> None:
    id = await rows.execution(status="waiting", labels={"team": "x"})
    await rows.wait(id, "1/1", "task", queue="llm", published=True, body=b"{}")
    async with gateway.client.get(f"/v1/executions/{id}") as answer:
        body = await answer.json()
    assert body["workflow"] == {"namespace": "support", "name": "refunds", "version": "1.0.0"}
    assert body["labels"] == {"team": "x"}
    (reason,) = body["waitingFor"]
    assert (reason["kind"], reason["queue"], reason["reference"]) == ("task", "llm", "/do/0/find")
    assert "executors of queue llm" in reason["reason"]


async def test_other_organisations_executions_are_not_there(gateway: Any, rows: Any) -> None:
    other = uuid7()
    await rows.organization("other", other)
    id = await rows.execution(organization_id=other, status="completed")
    for path in ("", "/history", "/tasks", "/events"):
        async with gateway.client.get(f"/v1/executions/{id}{path}") as answer:
            assert answer.status == 404, path
    async with gateway.client.get("/v1/executions") as answer:
        assert (await answer.json())["items"] == []
    theirs = await gateway.client_for(Scope.EXECUTIONS_READ, organization_id=other)
    async with theirs.get(f"/v1/executions/{id}") as answer:
        assert answer.status == 200


NOBODY = "019a0000-0000-7000-8000-000000000000"


@pytest.mark.parametrize("id", ["x", NOBODY, f"urn:uuid:{NOBODY}", "%00"])
async def test_what_names_no_execution_is_404(gateway: Any, id: str) -> None:
    async with gateway.client.get(f"/v1/executions/{id}") as answer:
        assert answer.status == 404
        assert (await answer.json())["status"] == 404


async def test_lists_are_paged_newest_first_without_gap_or_repetition(
    gateway: Any, rows: Any
) -> None:
    made = [str(await rows.execution(age_s=10 - i)) for i in range(7)]
    found: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "3", **({"cursor": cursor} if cursor else {})}
        async with gateway.client.get("/v1/executions", params=params) as answer:
            page = await answer.json()
        found += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert found == made[::-1]


async def test_filters_narrow_the_list(gateway: Any, rows: Any) -> None:
    old = await rows.execution(status="completed", labels={"team": "a", "env": "x"}, age_s=3600)
    new = await rows.execution(status="faulted", labels={"team": "a"}, workflow="support/other")

    async def ids(**params: Any) -> list[str]:
        async with gateway.client.get("/v1/executions", params=params) as answer:
            assert answer.status == 200, await answer.text()
            return [item["id"] for item in (await answer.json())["items"]]

    assert await ids(status="completed") == [str(old)]
    assert await ids(status="completed,faulted") == [str(new), str(old)]
    assert await ids(workflow="support/other") == [str(new)]
    assert await ids(workflow="support") == [str(new), str(old)]
    assert await ids(workflow="supp") == []
    assert await ids(label=["team:a", "env:x"]) == [str(old)]
    assert await ids(createdAfter="2100-01-01T00:00:00Z") == []
    assert len(await ids(createdBefore="2100-01-01T00:00:00Z")) == 2
    assert len(await ids(createdAfter="0001-01-01T00:00:00Z")) == 2


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "x"},
        {"cursor": "nonsense"},
        {"status": "done"},
        {"statsu": "running"},
        {"createdAfter": "yesterday"},
        {"workflow": "a/b/c"},
        {"label": "nocolon"},
        {"workflow": "a\x00"},
    ],
)
async def test_wrong_parameters_are_refused_by_name(gateway: Any, params: dict[str, str]) -> None:
    async with gateway.client.get("/v1/executions", params=params) as answer:
        body = await answer.json()
        assert answer.status == 400, body
    assert body["code"] == "invalid_parameter"


async def test_cancel_is_sent_as_a_control_and_a_refusal_is_409(
    gateway: Any, owners: Any, rows: Any, tools: Any
) -> None:
    id = await rows.execution()
    async with gateway.client.post(
        f"/v1/executions/{id}/cancel", json={"reason": "tired"}
    ) as answer:
        assert answer.status == 202
        assert (await answer.json())["status"] == "cancelled"
    assert owners.asked_for(CancelExecution)[0].reason == "tired"

    async def too_late(message: CancelExecution) -> Any:
        return tools.reply_to(message, 409, code="already_finished", detail="Too late.")

    owners.answer(CancelExecution, too_late)
    async with gateway.client.post(f"/v1/executions/{id}/cancel") as answer:
        assert answer.status == 409
        assert (await answer.json())["code"] == "already_finished"


async def test_tasks_are_derived_from_history_and_waits(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution(status="waiting")
    find = {"task": "/do/0/find", "name": "find", "taskId": str(uuid7())}
    ask = {"task": "/do/1/ask", "name": "ask", "taskId": str(uuid7())}
    await rows.turn(
        id,
        1,
        {"type": "workflow.started", "at": now_ms},
        {"type": "task.created", "at": now_ms, "kind": "call", "function": "search:1.0.0", **find},
        {"type": "task.started", "at": now_ms, "attempt": 1, **find},
    )
    report = {"worker": "w1", "startedAt": now_ms + 20, "usage": {"inputTokens": 3}}
    await rows.turn(
        id,
        4,
        {"type": "task.completed", "at": now_ms + 50, "output": [1], **find, **report},
        {"type": "task.created", "at": now_ms + 50, "kind": "call", "function": "llm:1.0.0", **ask},
        {"type": "task.started", "at": now_ms + 50, "attempt": 1, **ask},
    )
    await rows.wait(
        id, "2/1", "task", reference="/do/1/ask", queue="llm", published=False, body=b""
    )
    async with gateway.client.get(f"/v1/executions/{id}/tasks") as answer:
        first, second = (await answer.json())["items"]
    assert (first["status"], first["tries"], first["output"]) == ("completed", 1, [1])
    assert first["queuedAt"] < first["startedAt"] < first["finishedAt"]
    assert first["usage"] == {"inputTokens": 3}
    assert (second["status"], second["function"]) == ("queued", "llm:1.0.0")
    assert "room in queue llm" in second["waitingFor"]["reason"]


async def test_large_outputs_are_shown_with_their_tasks(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    id, value = await rows.execution(status="completed"), uuid7()
    task = {"task": "/do/0/find", "name": "find", "taskId": str(uuid7())}
    raw = orjson.dumps({"hits": ["x" * 3000]})
    await rows.connection.execute(
        "INSERT INTO workflow.payloads (owner_id, id, organization_id, sha256, bytes) VALUES ($1, $2, $3, sha256($4), $4)",
        id,
        value,
        rows.organization_id,
        raw,
    )
    event = {
        "type": "task.completed",
        "at": now_ms,
        "outputRef": str(value),
        "outputSize": len(raw),
    }
    await rows.turn(id, 1, {**event, **task})
    async with gateway.client.get(f"/v1/executions/{id}/tasks") as answer:
        (found,) = (await answer.json())["items"]
    assert found["output"] == orjson.loads(raw)


async def test_history_is_paged_by_sequence(gateway: Any, rows: Any, now_ms: int) -> None:
    id = await rows.execution()
    for first in (1, 4, 7):
        await rows.turn(id, first, *[{"type": "workflow.started", "at": now_ms}] * 3)
    found: list[int] = []
    after: int | None = 0
    while after is not None:
        params = {"after": str(after), "limit": "1"}
        async with gateway.client.get(f"/v1/executions/{id}/history", params=params) as answer:
            page = await answer.json()
        found += [item["sequence"] for item in page["items"]]
        after = page["nextAfter"]
    assert found == list(range(1, 10))
    async with gateway.client.get(f"/v1/executions/{id}/history", params={"after": "5"}) as answer:
        page = await answer.json()
    assert [item["sequence"] for item in page["items"]] == [6, 7, 8, 9]
    assert page["items"][0]["at"].endswith("Z")


async def test_a_history_of_any_length_is_read_in_bounded_pieces(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    """A loop without a pause writes hundreds of thousands of events, more than a thousand a turn."""
    id = await rows.execution(status="running")
    turns, size = 26, 1000
    for turn in range(turns):
        first = turn * size + 1
        events = [
            {
                "type": "task.created",
                "at": now_ms,
                "task": f"/do/0/a@{n}",
                "taskId": str(id),
                "name": "a",
                "filler": "x" * 100,
            }
            for n in range(first, first + size)
        ]
        await rows.turn(id, first, *events)

    async with gateway.client.get(f"/v1/executions/{id}/tasks") as answer:
        body = await answer.json()
        assert body["complete"] is False
        assert 20_000 <= len(body["items"]) < turns * size

    seen, after = 0, 0
    while after is not None:
        query = {"after": str(after), "limit": "2000"}
        async with gateway.client.get(f"/v1/executions/{id}/history", params=query) as answer:
            page = await answer.json()
        assert [item["sequence"] for item in page["items"]] == [
            *range(seen + 1, seen + 1 + len(page["items"]))
        ]
        assert len(page["items"]) <= 3000
        seen, after = seen + len(page["items"]), page["nextAfter"]
    assert seen == turns * size

    async with gateway.client.get(f"/v1/executions/{id}/events") as stream, asyncio.timeout(30):
        while await stream.content.readline() != f"id: {turns * size}\n".encode():
            pass


async def test_a_full_redis_stops_starts_and_nothing_else(
    gateway: Any, rows: Any, owners: Any, redis_url: str, tools: Any
) -> None:
    id = await rows.execution()
    link = Link(redis_url)
    info = (await link.call(b"INFO", b"memory")).decode()
    used = int(next(line for line in info.splitlines() if line.startswith("used_memory:"))[12:])
    _, before = await link.call(b"CONFIG", b"GET", b"maxmemory")
    await link.call(b"CONFIG", b"SET", b"maxmemory", int(used * 1.3))
    try:

        async def refused() -> bool:
            async with gateway.client.post(START, json={}) as answer:
                return bool((await answer.json()).get("code") == "saturated")

        await tools.eventually(refused, "starts are refused")
        async with gateway.client.post(f"/v1/executions/{id}/cancel") as answer:
            assert answer.status == 202, await answer.text()
    finally:
        await link.call(b"CONFIG", b"SET", b"maxmemory", before)
        await link.close()
