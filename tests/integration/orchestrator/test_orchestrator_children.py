"""Sub-workflows: created by their parent, told of its end, and heard when they end themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from common.ids import uuid7
from orchestrator.children import LEVELS_MAX
from orchestrator.storage.executions import PostgresStore

Call = Callable[..., dict[str, Any]]
INNER = {"namespace": "tests", "name": "inner", "version": "1.0.0"}


def run(*, awaited: bool = True, **more: Any) -> dict[str, Any]:
    return {"run": {"workflow": {**INNER, **more}, "await": awaited}}


async def child_of(engine: Any, parent: UUID) -> UUID:
    query = "SELECT id FROM workflow.workflow_executions WHERE parent_id = $1"

    async def there() -> UUID | None:
        found: UUID | None = await engine.pool.fetchval(query, parent)
        return found

    found: UUID = await engine.until(there, "the child to be created")
    return found


async def test_the_output_of_a_child_becomes_the_output_of_its_task(
    engine: Any, call: Call
) -> None:
    await engine.register("inner", [{"a": call("echo", n="${ .n + 1 }")}])
    outer = await engine.register("outer", [{"sub": run(input={"n": "${ .n }"})}])

    id = await engine.start(outer, {"n": 41})

    assert await engine.outcome(id) == {"n": 42}
    child = await child_of(engine, id)
    assert (await engine.history(child))[0]["type"] == "workflow.started"
    await engine.nothing_left()


async def test_a_child_nobody_waits_for_outlives_its_parent(engine: Any, call: Call) -> None:
    await engine.register("inner", [{"a": call("wait", gate="open")}])
    id = await engine.start(await engine.register("outer", [{"sub": run(awaited=False)}]))
    await engine.outcome(id)
    child = await child_of(engine, id)
    await engine.waits_for(child, "task")

    engine.functions.gate("open").set()

    assert await engine.outcome(child) == {"gate": "open"}
    await engine.nothing_left()


async def test_cancelling_a_parent_cancels_the_child_it_waits_for(engine: Any, call: Call) -> None:
    await engine.register("inner", [{"a": call("wait", gate="never")}])
    id = await engine.start(await engine.register("outer", [{"sub": run()}]))
    child = await child_of(engine, id)
    await engine.waits_for(child, "task")

    await engine.control("cancel", id)

    await engine.outcome(id, status="cancelled")
    error = await engine.outcome(child, status="cancelled")
    assert str(id) in error["detail"]
    await engine.nothing_left()


async def test_a_parent_hears_of_its_childs_fault(engine: Any, call: Call) -> None:
    problem = {"type": "https://example.com/no", "status": 418, "title": "No"}
    await engine.register("inner", [{"a": {"raise": {"error": problem}}}])
    id = await engine.start(await engine.register("outer", [{"sub": run()}]))

    error = await engine.outcome(id, status="faulted")

    assert (error["status"], error["title"]) == (418, "No")


@pytest.mark.parametrize("version", ["1.0.0", "9.9.9"])
async def test_a_child_of_a_workflow_that_is_not_there_is_a_configuration_error(
    engine: Any, call: Call, version: str
) -> None:
    if version == "9.9.9":
        await engine.register("inner", [{"a": call("echo")}])
    id = await engine.start(await engine.register("outer", [{"sub": run(version=version)}]))

    error = await engine.outcome(id, status="faulted")

    assert error["type"].endswith("/configuration")
    assert f"tests/inner {version}" in error["detail"]
    await engine.nothing_left()


async def test_a_lost_notice_of_a_closed_child_is_made_up_for(engine: Any, call: Call) -> None:
    """The parent's wait is found by a sweep, whatever became of the message."""
    await engine.register("inner", [{"a": call("wait", gate="open")}])
    id = await engine.start(await engine.register("outer", [{"sub": run()}]))
    child = await child_of(engine, id)
    await engine.waits_for(child, "task")
    # As if the child had ended without a word: its row is closed, its parent is told nothing.
    await engine.pool.execute(
        "UPDATE workflow.workflow_executions SET status = 'completed', output_payload = '{\"n\": 1}', "
        "updated_at = now() - interval '1 minute', finished_at = now() - interval '1 minute' WHERE id = $1",
        child,
    )
    await engine.pool.execute("DELETE FROM workflow.execution_state WHERE id = $1", child)
    await engine.pool.execute("DELETE FROM workflow.waits WHERE execution_id = $1", child)

    assert await engine.outcome(id) == {"n": 1}


async def test_a_workflow_that_runs_itself_for_ever_ends_at_a_bound(
    engine: Any, call: Call
) -> None:
    inner = await engine.register("inner", [{"again": run()}])

    id = await engine.start(inner)

    error = await engine.outcome(id, status="faulted")
    assert f"deeper than {LEVELS_MAX} levels" in error["detail"]
    query = (
        "SELECT count(*) FROM workflow.workflow_executions WHERE id = $1 OR parent_id IS NOT NULL"
    )
    assert await engine.pool.fetchval(query, id) == LEVELS_MAX + 1
    await engine.nothing_left()


async def test_levels_are_counted_by_a_replica_that_did_not_begin_them(
    engine: Any, call: Call
) -> None:
    await engine.register("inner", [{"a": call("wait", gate="open")}])
    id = await engine.start(await engine.register("outer", [{"sub": run()}]))
    child = await child_of(engine, id)
    store = PostgresStore(engine.pool)

    assert [await store.levels_above(each, LEVELS_MAX) for each in (id, child)] == [0, 1]

    engine.functions.gate("open").set()
    await engine.outcome(id)


async def test_a_child_nobody_waits_for_needs_room_like_any_other_execution(
    engine: Any, call: Call
) -> None:
    organization = await engine.add_organization(uuid7(), concurrent=1)
    await engine.register("inner", [{"a": call("echo")}], organization=organization)
    tasks = [{"sub": run(awaited=False)}, {"held": call("wait", gate="open")}]
    outer = await engine.register("outer", tasks, organization=organization)
    id = await engine.start(outer, organization_id=organization)
    child = await child_of(engine, id)

    await engine.waits_for(child, "admission")

    engine.functions.gate("open").set()
    await engine.outcome(id)
    await engine.outcome(child)
    await engine.nothing_left()
