"""A replica that stands still: whoever was told of an object finds it, and a replica that goes away is not missed."""

from __future__ import annotations

import time
from typing import Any

from common.contracts.executions import StartExecution
from common.ids import partition_of, uuid7
from common.streams import names
from common.streams.connection import Link
from common.streams.publisher import Publisher
from common.streams.requests import Requester

NAME = "still"


def definition(version: str) -> dict[str, Any]:
    header = {"dsl": "1.0.3", "namespace": "tests", "name": NAME, "version": version}
    return {"document": header, "do": [{"answer": {"set": {"n": 1}}}]}


async def status(client: Any, path: str) -> int:
    async with client.get(path) as response:
        await response.read()
        return int(response.status)


async def body(client: Any, path: str) -> Any:
    async with client.get(path) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def post(client: Any, path: str, json: Any, expected: int) -> Any:
    async with client.post(path, json=json) as response:
        assert response.status == expected, await response.text()
        return await response.json()


async def start_long_ago(stack: Any) -> str:
    """An execution that the orchestrator accepts, with an id of a minute ago: too old to be read from the primary first."""
    link = Link(stack.environment.redis_url)
    replies = Link(stack.environment.redis_url, timeout_s=10)
    requester = Requester(Publisher(link), replies, instance=str(uuid7()))
    id = uuid7(at_ms=int(time.time() * 1000) - 60_000)
    request = StartExecution(
        organization_id=stack.organization_id,
        execution_id=id,
        workflow_id=f"tests/{NAME}",
        input={},
        idempotency_key=str(id),
    )
    try:
        async with requester.running():
            stream = names.commands(partition_of(id, 8))
            reply = await requester.ask(request, stream, timeout_s=15)
    finally:
        await link.close()
        await replies.close()
    assert reply.status == 202
    return str(id)


async def test_nothing_that_was_accepted_is_missing_while_replay_is_paused(
    pair: Any, stack: Any, client: Any, wait_for: Any
) -> None:
    await pair.caught_up()
    await pair.pause()
    try:
        await post(client, "/v1/workflows", definition("1.0.0"), 201)
        started = await post(client, f"/v1/workflows/tests/{NAME}/executions", {}, 202)
        await post(client, "/v1/collections", {"name": "still"}, 201)
        documents = {"id": "d1", "text": "It stands still."}
        await post(client, "/v1/collections/still/documents", documents, 202)
        old = await start_long_ago(stack)

        for path in (
            f"/v1/workflows/tests/{NAME}",
            f"/v1/workflows/tests/{NAME}/versions",
            f"/v1/workflows/tests/{NAME}/versions/1.0.0",
            "/v1/collections/still",
            "/v1/collections/still/documents/d1",
        ):
            assert await status(client, path) == 200, path
        for id in (started["id"], old):
            for part in ("", "/history", "/tasks", "/events"):
                assert await status(client, f"/v1/executions/{id}{part}") == 200, part
            assert (await body(client, f"/v1/executions/{id}/history"))["items"]
        # It is the replica that lists, and it has not heard of them.
        assert (await body(client, "/v1/executions"))["items"] == []
    finally:
        await pair.resume()

    async def listed() -> bool:
        found = {item["id"] for item in (await body(client, "/v1/executions"))["items"]}
        return {started["id"], old} <= found

    await wait_for(listed, "the replica to list them")


async def test_a_replica_that_goes_away_is_not_noticed(
    pair: Any, stack: Any, client: Any, fixture_loop: Any
) -> None:
    await post(client, "/v1/workflows", definition("2.0.0"), 201)
    old = await start_long_ago(stack)
    await pair.caught_up()
    assert await status(client, f"/v1/executions/{old}") == 200

    fixture_loop.run(pair.replica.stop())

    for path in (f"/v1/executions/{old}", "/v1/executions", f"/v1/workflows/tests/{NAME}"):
        assert await status(client, path) == 200, path
    fixture_loop.run(pair.replica.start())
