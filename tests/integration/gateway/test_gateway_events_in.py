"""Sending events over HTTP: kept before the answer, refused with the place that is wrong."""

from typing import Any

from common.contracts.arrivals import PublishEvents
from common.security import Scope

URL = "/v1/events"
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "paid"}
STRUCTURED = {"Content-Type": "application/cloudevents+json"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


async def keep(owners: Any, tools: Any) -> None:
    async def answer(message: PublishEvents) -> Any:
        return tools.reply_to(message, 202, {"accepted": 1, "known": 0})

    owners.answer(PublishEvents, answer)


async def test_an_event_is_handed_to_its_owner_and_answered_with_202(
    gateway: Any, owners: Any, tools: Any
) -> None:
    await keep(owners, tools)
    async with gateway.client.post(
        URL, json={**EVENT, "data": {"n": 1}}, headers=STRUCTURED
    ) as got:
        assert got.status == 202
        assert await got.json() == {"accepted": 1, "known": 0}
    (sent,) = owners.asked_for(PublishEvents)
    assert sent.events == [{**EVENT, "data": {"n": 1}}]
    assert sent.traceparent


async def test_a_large_batch_is_stored_first_and_named(
    gateway: Any, owners: Any, rows: Any, tools: Any
) -> None:
    await keep(owners, tools)
    batch = [{**EVENT, "id": str(n), "data": "x" * 500} for n in range(20)]
    async with gateway.client.post(URL, json=batch, headers=BATCH) as got:
        assert got.status == 202
    (sent,) = owners.asked_for(PublishEvents)
    assert sent.events == []
    assert sent.events_ref.size > 10_000
    stored = "SELECT count(*) FROM workflow.payloads WHERE id = $1"
    assert await rows.connection.fetchval(stored, sent.events_ref.id) == 1


async def test_binary_mode_has_the_attributes_in_headers(
    gateway: Any, owners: Any, tools: Any
) -> None:
    await keep(owners, tools)
    headers = {f"ce-{name}": value for name, value in EVENT.items()}
    async with gateway.client.post(URL, json={"n": 1}, headers=headers) as got:
        assert got.status == 202
    (sent,) = owners.asked_for(PublishEvents)
    assert sent.events[0]["data"] == {"n": 1}


async def test_a_wrong_event_is_refused_with_its_places(gateway: Any, owners: Any) -> None:
    wrong = [EVENT, {**EVENT, "type": ""}]
    async with gateway.client.post(URL, json=wrong, headers=BATCH) as got:
        problem = await got.json()
        assert (got.status, problem["code"]) == (422, "invalid_event")
        assert [each["pointer"] for each in problem["errors"]] == ["/1/type"]
    async with gateway.client.post(URL, data=b"x", headers={"Content-Type": "text/plain"}) as got:
        assert got.status == 415
    assert not owners.asked_for(PublishEvents)


async def test_sending_needs_the_right_to_write_events(gateway: Any) -> None:
    reader = await gateway.client_for(Scope.EVENTS_READ)
    async with reader.post(URL, json=EVENT, headers=STRUCTURED) as got:
        assert got.status == 403
