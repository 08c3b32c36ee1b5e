"""Events on a real database and real streams: kept before the answer, offered once, found again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from common.ids import uuid7
from orchestrator.event_rows import stored_event
from orchestrator.storage.events import PostgresEvents

Call = Callable[..., dict[str, Any]]


def listen(to: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"l": {"listen": {"to": to}, **more}}]


def ordered(order: Any) -> dict[str, Any]:
    """A listener for the payment of one order."""
    correlate = {"order": {"from": ".data.order", "expect": order}}
    return {"one": {"with": {"type": "paid"}, "correlate": correlate}}


async def test_an_event_ends_the_listening_of_those_it_concerns(engine: Any) -> None:
    workflow = await engine.register("paid", listen(ordered("${ .order }")))
    first = await engine.start(workflow, {"order": "a"})
    second = await engine.start(workflow, {"order": "b"})
    await engine.waits_for(first, "event")
    await engine.waits_for(second, "event")

    reply = await engine.publish({"type": "paid", "data": {"order": "b"}})

    assert (reply.status, reply.body) == (202, {"accepted": 1, "known": 0})
    assert await engine.outcome(second) == [{"order": "b"}]
    assert await engine.status(first) == "waiting"
    assert await engine.pool.fetchval("SELECT count(*) FROM workflow.deliveries") == 0
    await engine.publish({"type": "other"}, {"type": "paid", "data": {"order": "a"}})
    assert await engine.outcome(first) == [{"order": "a"}]
    assert await engine.pool.fetchval("SELECT count(*) FROM workflow.listeners") == 0
    await engine.nothing_left()


async def test_events_are_kept_from_the_start_and_a_repeated_one_counts_once(
    engine: Any, call: Call
) -> None:
    tasks = [{"c": call("wait", gate="g")}, *listen({"any": [], "until": "length == 3"})]
    await engine.publish({"type": "t", "data": "before"})
    id = await engine.start(await engine.register("late", tasks))
    for data in (1, 1, 2):
        await engine.publish({"type": "t", "id": f"e-{data}", "data": data})
    reply = await engine.publish({"type": "t", "id": "e-2", "data": 2})
    assert reply.body == {"accepted": 1, "known": 1}
    engine.functions.gate("g").set()
    await engine.waits_for(id, "event")
    await engine.publish({"type": "t", "data": 3})
    assert await engine.outcome(id) == [1, 2, 3]
    await engine.nothing_left()


async def test_an_emitted_event_is_told_and_reaches_the_listeners_of_its_organisation(
    engine: Any,
) -> None:
    other = await engine.add_organization(uuid7())
    hears = listen({"one": {"with": {"type": "done", "source": "/tests/tells/1.0.0"}}})
    near = await engine.start(await engine.register("hears", hears))
    far = await engine.start(
        await engine.register("hears", hears, organization=other), organization_id=other
    )
    await engine.waits_for(near, "event")
    await engine.waits_for(far, "event")
    emit = [{"e": {"emit": {"event": {"with": {"type": "done", "data": {"n": "${ .n }"}}}}}}]

    teller = await engine.start(await engine.register("tells", emit), {"n": 4})

    assert await engine.outcome(near) == [{"n": 4}]
    sent = await engine.outcome(teller)
    assert sent["id"] in await engine.feed()
    assert await engine.status(far) == "waiting"
    await engine.control("cancel", far, organization=other)
    await engine.nothing_left()


async def test_foreach_takes_many_events_one_after_another_and_none_twice(
    engine: Any, call: Call
) -> None:
    foreach = {
        "do": [
            {"c": call("echo", n="${ $item }")},
            {"e": {"emit": {"event": {"with": {"type": "seen"}}}}},
        ],
        "output": {"as": "$item"},
    }
    to = {"any": [{"with": {"type": "t"}}], "until": "length == 30"}
    id = await engine.start(await engine.register("each", listen(to, foreach=foreach)))
    await engine.waits_for(id, "event")
    await asyncio.gather(
        *(engine.publish(*({"type": "t", "data": 10 * n + k} for k in range(10))) for n in range(3))
    )
    assert sorted(await engine.outcome(id)) == list(range(30))
    assert set(engine.functions.runs.values()) == {1}
    assert (
        await engine.pool.fetchval("SELECT count(*) FROM workflow.events WHERE type = 'seen'") == 30
    )
    await engine.nothing_left()


async def test_events_that_come_while_suspended_are_applied_when_resumed(engine: Any) -> None:
    id = await engine.start(
        await engine.register("held", listen({"any": [], "until": "length == 2"}))
    )
    await engine.waits_for(id, "event")
    await engine.control("suspend", id)
    await engine.publish({"type": "t", "data": 1}, {"type": "t", "data": 2})
    assert await engine.status(id) == "suspended"
    await engine.control("resume", id)
    assert await engine.outcome(id) == [1, 2]
    await engine.nothing_left()


async def test_what_a_crash_left_unmatched_is_swept(build_engine: Any) -> None:
    engine = build_engine
    async with engine.orchestrator() as service:
        workflow = await engine.register("swept", listen({"one": {"with": {"type": "t"}}}))
        id = await engine.start(workflow)
        await engine.waits_for(id, "event")
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1}
        store = PostgresEvents(engine.pool)
        # As if the process had died between keeping the event and looking for listeners.
        assert await store.keep([stored_event(engine.organization, event)]) == 1
        await engine.pool.execute("UPDATE workflow.events SET received_at = now() - interval '6 s'")
        await engine.pool.execute("UPDATE workflow.listeners SET since = now() - interval '1 min'")
        await service.events.sweep()
        assert await engine.outcome(id) == [1]
        await engine.nothing_left()


async def test_a_delivery_whose_nudge_was_lost_is_swept(build_engine: Any) -> None:
    engine = build_engine
    async with engine.orchestrator() as service:
        id = await engine.start(
            await engine.register("nudged", listen({"one": {"with": {"type": "t"}}}))
        )
        await engine.waits_for(id, "event")
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": 1}
        row = stored_event(engine.organization, event)
        store = PostgresEvents(engine.pool)
        await store.keep([row])
        assert await store.match([(row.organization_id, row.fingerprint)])  # and nobody is told
        await engine.pool.execute(
            "UPDATE workflow.deliveries SET offered_at = now() - interval '6 s'"
        )
        await service.events.sweep()
        assert await engine.outcome(id) == [1]


async def test_events_go_when_nothing_unfinished_may_listen_for_them(build_engine: Any) -> None:
    engine = build_engine
    forget = "SELECT workflow.forget_events(60, 30, 100)"
    async with engine.orchestrator():
        id = await engine.start(
            await engine.register("keeps", listen({"one": {"with": {"type": "x"}}}))
        )
        await engine.publish({"type": "t"}, {"type": "t"})
        assert await engine.pool.fetchval(forget) == 0
        await engine.pool.execute(
            "UPDATE workflow.events SET received_at = now() - interval '2 min'"
        )
        assert await engine.pool.fetchval(forget) == 2, "older than all that is unfinished"
        await engine.publish({"type": "t"})
        kept = "UPDATE workflow.events SET received_at = now() + interval '1 s'"
        await engine.pool.execute(kept)
        forget_all = "SELECT workflow.forget_events(-60, 30, 100)"
        assert await engine.pool.fetchval(forget_all) == 0, "the execution began before it"
        await engine.control("cancel", id)
        assert await engine.pool.fetchval(forget_all) == 1


async def test_one_of_many_correlated_listeners_is_found_by_the_index(build_engine: Any) -> None:
    engine = build_engine
    many = 10_000
    await engine.pool.execute(
        "INSERT INTO workflow.listeners (execution_id, key, organization_id, listener, type, correlation, expected, since) "
        "SELECT gen_random_uuid(), '2', $1, gen_random_uuid(), 'paid', '.data.order', 'v' || n, now() - interval '1 h' "
        "FROM generate_series(1, $2) AS n",
        engine.organization,
        many,
    )
    await engine.pool.execute("ANALYZE workflow.listeners")
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "paid", "data": {"order": 7}}
    row = stored_event(engine.organization, event)
    store = PostgresEvents(engine.pool)
    await store.keep([row])
    assert await store.match([(row.organization_id, row.fingerprint)]) == []
    plan = await engine.pool.fetch(
        "EXPLAIN SELECT FROM workflow.listeners WHERE organization_id = $1 AND type = 'paid' "
        "AND correlation = '.data.order' AND expected = 'v7'",
        engine.organization,
    )
    assert "listeners_interest" in str(plan)
    await engine.pool.execute("DELETE FROM workflow.listeners")


@pytest.mark.parametrize("size", [1_000, 60_000])
async def test_events_of_any_size_come_as_they_were_sent(engine: Any, size: int) -> None:
    id = await engine.start(await engine.register("large", listen({"any": []})))
    await engine.publish({"type": "t", "data": {"text": "x" * size}})
    assert await engine.outcome(id) == [{"text": "x" * size}]
