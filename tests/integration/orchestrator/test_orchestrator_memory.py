"""What executions leave in the memory of a replica."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from orchestrator.live import WEIGHT_EACH_MAX, WEIGHT_MAX


async def start_large(engine: Any, workflow: str, value: Any) -> UUID:
    """As the gateway does it: the body is stored first."""
    request = engine.start_of(workflow)
    reference = await engine.store_input(request.execution_id, orjson.dumps(value))
    reply = await engine.ask_start(
        request.model_copy(update={"input": None, "input_ref": reference})
    )
    assert reply.status == 202, reply
    return request.execution_id  # type: ignore[no-any-return]


async def test_executions_with_large_values_do_not_pile_up_in_memory(build_engine: Any) -> None:
    engine = build_engine
    value = {"text": "x" * 300_000}
    do = [
        {"keep": {"set": "${ . }"}},
        {"rest": {"wait": {"milliseconds": 1}}},
        {"gate": {"call": "wait:1.0.0@default", "with": {"gate": "later"}}},
        {"end": {"set": {"length": "${ $workflow.input.text | length }"}}},
    ]
    count = 3 * WEIGHT_MAX // len(orjson.dumps(value))
    async with engine.executor(slots=200), engine.orchestrator() as service:
        workflow = await engine.register("large", do)
        ids = [await start_large(engine, workflow, value) for _ in range(count)]
        for id in ids:
            await engine.waits_for(id, "task")

        live = service.base.live
        assert 0 < live.kept < count
        assert live.weight <= WEIGHT_MAX

        engine.functions.gate("later").set()
        assert [await engine.outcome(id) for id in ids] == [{"length": 300_000}] * count
        assert (live.kept, live.weight) == (0, 0)


async def test_an_execution_that_is_too_large_to_keep_goes_on_all_the_same(
    build_engine: Any,
) -> None:
    engine = build_engine
    value = {"text": "x" * (WEIGHT_EACH_MAX - 1000), "n": 0}
    do = [
        {
            "loop": {
                "for": {"in": "${ [1, 2, 3] }"},
                "do": [
                    {"add": {"set": "${ . + {n: (.n + 1)} }"}},
                    {"rest": {"wait": {"milliseconds": 1}}},
                ],
            }
        },
        {"end": {"set": {"n": "${ .n }"}}},
    ]
    async with engine.orchestrator() as service:
        workflow = await engine.register("huge", do)
        id = await start_large(engine, workflow, value)
        assert await engine.outcome(id) == {"n": 3}
        assert service.base.live.weight == 0
