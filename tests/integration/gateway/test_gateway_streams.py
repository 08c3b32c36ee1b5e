"""Server-sent events: gap-free, resumable, and honest about what they cannot know."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson

from common.ids import uuid7
from common.security import Scope
from common.streams import names

STARTED = "io.serverlessworkflow.workflow.started.v1"
COMPLETED = "io.serverlessworkflow.workflow.completed.v1"


class Reader:
    """Reads events as a browser would."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.last_id = ""

    async def next(self) -> dict[str, Any] | None:
        """The next event; None at the end of the stream."""
        event: dict[str, Any] = {}
        async with asyncio.timeout(15):
            async for raw in self._response.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("id: "):
                    self.last_id = event["id"] = line[4:]
                elif line.startswith("event: "):
                    event["event"] = line[7:]
                elif line.startswith("data: "):
                    event["data"] = orjson.loads(line[6:])
                elif not line and "data" in event:
                    return event
                elif not line:
                    event = {}
        return None

    async def rest(self) -> list[dict[str, Any]]:
        found = []
        while (event := await self.next()) is not None:
            found.append(event)
        return found


@asynccontextmanager
async def reading(client: Any, path: str, **headers: str) -> AsyncIterator[Reader]:
    headers = {"Accept": "text/event-stream", **headers}
    async with client.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        yield Reader(response)


def start(now_ms: int) -> dict[str, Any]:
    return {"type": "workflow.started", "at": now_ms}


def end(now_ms: int) -> dict[str, Any]:
    return {"type": "workflow.completed", "at": now_ms, "output": 1}


def task(type: str, now_ms: int) -> dict[str, Any]:
    return {
        "type": f"task.{type}",
        "at": now_ms,
        "task": "/do/0/a",
        "name": "a",
        "taskId": "t",
        "attempt": 1,
    }


async def test_a_finished_execution_is_told_from_its_first_event_to_its_end(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution(status="completed")
    await rows.turn(id, 1, start(now_ms), task("created", now_ms))
    await rows.turn(id, 3, task("completed", now_ms), end(now_ms))
    async with reading(gateway.client, f"/v1/executions/{id}/events") as reader:
        events = await reader.rest()
    assert [event["id"] for event in events] == ["1", "2", "3", "4"]
    assert [events[0]["event"], events[-1]["event"]] == [STARTED, COMPLETED]
    assert [event["data"]["sequence"] for event in events] == [1, 2, 3, 4]
    assert events[0]["data"]["id"] == f"{id}/1"


async def test_events_follow_as_they_are_committed(
    gateway: Any, owners: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution()
    await rows.turn(id, 1, start(now_ms))
    async with reading(gateway.client, f"/v1/executions/{id}/events") as reader:
        first = await reader.next()
        assert first is not None
        assert first["id"] == "1"
        await rows.turn(id, 2, task("created", now_ms), task("completed", now_ms))
        # Only a wake-up: what it says does not matter, the history does.
        await owners.publish(id, 3, task("completed", now_ms))
        assert [(await reader.next())["id"] for _ in range(2)] == ["2", "3"]  # type: ignore[index]
        await rows.turn(id, 4, end(now_ms))
        await owners.publish(id, 4, end(now_ms))
        assert [event["id"] for event in await reader.rest()] == ["4"]


async def test_a_lost_connection_resumes_after_the_last_event(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution(status="completed")
    await rows.turn(id, 1, start(now_ms), task("created", now_ms), end(now_ms))
    path = f"/v1/executions/{id}/events"
    async with reading(gateway.client, path, **{"Last-Event-ID": "1"}) as reader:
        assert [event["id"] for event in await reader.rest()] == ["2", "3"]
    async with reading(gateway.client, f"{path}?after=2") as reader:
        assert [event["id"] for event in await reader.rest()] == ["3"]
    async with gateway.client.get(path, headers={"Last-Event-ID": "3"}) as answer:
        assert answer.status == 204  # a browser stops connecting
    async with gateway.client.get(path, headers={"Last-Event-ID": "x"}) as answer:
        assert answer.status == 400


async def test_deltas_come_between_the_events_without_an_id(
    gateway: Any, owners: Any, rows: Any, tools: Any, now_ms: int
) -> None:
    id = await rows.execution()
    await rows.turn(id, 1, start(now_ms))
    async with reading(gateway.client, f"/v1/executions/{id}/events") as reader:
        await reader.next()

        async def heard() -> int:
            heard: int = await owners.redis.publish(names.deltas(id), b'{"text":"Hel"}')
            return heard

        await tools.eventually(heard, "somebody listens to the deltas")
        delta = await reader.next()
        assert delta is not None
        assert delta["event"] == "task.delta"
        assert delta["data"] == {"text": "Hel"}
        assert "id" not in delta


async def test_the_organisations_stream_begins_now_and_resumes_by_its_cursor(
    gateway: Any, owners: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution()
    await owners.publish(id, 1, start(now_ms))
    async with reading(gateway.client, "/v1/events") as reader:
        await owners.publish(id, 2, task("created", now_ms))
        first = await reader.next()
        assert first is not None
        assert first["data"]["id"] == f"{id}/2"
    cursor = reader.last_id
    assert cursor.startswith("g1:")
    await owners.publish(id, 3, task("completed", now_ms))
    async with reading(gateway.client, "/v1/events", **{"Last-Event-ID": cursor}) as reader:
        again = await reader.next()
        assert again is not None
        assert (again["event"].endswith("task.completed.v1"), again["data"]["sequence"]) == (
            True,
            3,
        )


async def test_a_batch_moves_the_cursor_only_with_its_last_event(
    gateway: Any, owners: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution()
    async with reading(gateway.client, "/v1/events") as reader:
        await owners.publish(
            id, 1, start(now_ms), task("created", now_ms), task("completed", now_ms)
        )
        await reader.next()
    async with reading(gateway.client, "/v1/events", **{"Last-Event-ID": reader.last_id}) as reader:
        repeated = [await reader.next() for _ in range(3)]
    assert [event["data"]["sequence"] for event in repeated if event] == [1, 2, 3]


async def test_an_unknown_generation_and_a_trimmed_cursor_get_a_reset(
    gateway: Any, owners: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution()
    stream = names.events(rows.organization_id)
    first = await owners.publish(id, 1, start(now_ms))
    for number in range(2, 6):
        last = await owners.publish(id, number, task("created", now_ms))
    await owners.redis.xtrim(stream, maxlen=1, approximate=False)
    for cursor, reason in ((f"old:{first}", "generation"), (f"g1:{first}", "trimmed")):
        async with reading(gateway.client, "/v1/events", **{"Last-Event-ID": cursor}) as reader:
            reset = await reader.next()
            assert reset is not None
            assert (reset["event"], reset["data"]["reason"]) == ("reset", reason)
            assert reset["data"]["cursor"] == f"g1:{last}"
            fill_from = reset["data"]["fillFrom"]
        async with gateway.client.get("/v1/events", params={"after": fill_from}) as answer:
            assert answer.status == 200


async def test_a_flushed_redis_is_noticed_by_open_streams(
    gateway: Any, owners: Any, rows: Any, now_ms: int
) -> None:
    id = await rows.execution()
    async with reading(gateway.client, "/v1/events") as reader:
        await owners.publish(id, 1, start(now_ms))
        await reader.next()
        await owners.redis.flushall()
        await owners.redis.set(names.GENERATION_KEY, "g2")
        await owners.publish(id, 2, task("created", now_ms))
        event = await reader.next()
        assert event is not None
        if event["event"] != "reset":  # told with the next look at the generation
            assert event["data"]["sequence"] == 2


async def walk(client: Any, after: str, limit: int = 200) -> tuple[list[str], str]:
    """The ids of all events since, page by page, and where the next walk begins."""
    found: list[str] = []
    more = True
    while more:
        params = {"after": after, "limit": str(limit)}
        async with client.get("/v1/events", params=params) as answer:
            page = await answer.json()
        found += [event["id"] for event in page["items"]]
        after, more = page["nextAfter"], page["more"]
    return found, after


async def test_the_gap_is_filled_from_postgresql_page_by_page(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    expected: list[str] = []
    for minutes in (0, 1, 10, 60, 60 * 24):
        id = await rows.execution()
        await rows.turn(id, 1, start(now_ms), task("created", now_ms))
        await rows.connection.execute(
            "UPDATE workflow.history SET at = now() - make_interval(mins => $2) WHERE execution_id = $1",
            id,
            minutes,
        )
        expected = [f"{id}/1", f"{id}/2", *expected]
    for limit in (1, 2, 200):
        found, _ = await walk(gateway.client, "2020-01-01T00:00:00Z", limit)
        assert found == expected


async def test_the_next_walk_begins_before_what_may_have_been_committing(
    gateway: Any, rows: Any, now_ms: int
) -> None:
    old, late, new = [await rows.execution() for _ in range(3)]
    for id in (old, new):
        await rows.turn(id, 1, start(now_ms))
    await rows.connection.execute(
        "UPDATE workflow.history SET at = at - interval '1 hour' WHERE execution_id = $1", old
    )
    found, after = await walk(gateway.client, "2020-01-01T00:00:00Z", 1)
    assert found == [f"{old}/1", f"{new}/1"]
    # Committed meanwhile, with a time before that of the newest one.
    await rows.turn(late, 1, start(now_ms))
    await rows.connection.execute(
        "UPDATE workflow.history SET at = at - interval '5 seconds' WHERE execution_id = $1", late
    )
    found, _ = await walk(gateway.client, after, 1)
    assert found == [f"{late}/1", f"{new}/1"]


async def test_streams_show_the_callers_organisation_only(
    gateway: Any, owners: Any, rows: Any, now_ms: int
) -> None:
    other = uuid7()
    await rows.organization("other", other)
    theirs = await gateway.client_for(Scope.EVENTS_READ, organization_id=other)
    await rows.turn(await rows.execution(), 1, start(now_ms))
    async with theirs.get("/v1/events", params={"after": "2020-01-01T00:00:00Z"}) as answer:
        assert (await answer.json())["items"] == []
    async with reading(theirs, "/v1/events") as reader:
        await owners.publish(uuid7(), 1, start(now_ms))
        await owners.redis.xadd(names.events(other), {"m": b'[{"id":"mine","type":"t"}]'})
        event = await reader.next()
        assert event is not None
        assert event["data"]["id"] == "mine"
