"""A crash at each row of the protocol's table, in the real services: one process is killed where a failpoint says."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Any

ORCHESTRATOR = (
    "orchestrator-before-commit",
    "orchestrator-after-commit",
    "orchestrator-after-publish",
)
EXECUTOR = ("after-claim", "before-result-publish", "after-result-publish")


async def test_processes_die_at_every_place_of_the_table(stack: Any, desk: Any) -> None:
    """Each execution is accepted once and finishes once; what ran again did so under the same key."""
    for failpoint in (*ORCHESTRATOR, *EXECUTOR):
        stack.arm(failpoint)

    keys = [f"table-{n}" for n in range(12)]
    ids = await asyncio.gather(*[desk.start(key=key) for key in keys])
    for failpoint in (*ORCHESTRATOR, *EXECUTOR):
        await desk.strikes(failpoint)

    assert await asyncio.gather(*[desk.start(key=key) for key in keys]) == ids
    await desk.balanced(ids, effects_max=3)


async def test_zombies_wake_when_others_have_done_their_work(stack: Any, desk: Any) -> None:
    """An orchestrator stopped before its commit loses the compare-and-set; an executor with a result finds its entry
    gone, and its result is one too many."""
    places = ("orchestrator-before-commit", "before-result-publish")
    for failpoint in places:
        stack.arm(failpoint, "SIGSTOP")
    starting = asyncio.gather(*[desk.start(key=f"zombie-{n}") for n in range(6)])
    for failpoint in places:
        await desk.strikes(failpoint)
    zombies = desk.stopped()
    assert len(zombies) == 2

    ids = await starting
    assert await desk.finished(ids) == {"completed": 6}
    for zombie in zombies:
        os.kill(zombie, signal.SIGCONT)

    await desk.balanced(ids, effects_max=3)


async def test_a_request_repeated_after_a_commit_without_reply_gives_the_same_execution(
    stack: Any, desk: Any
) -> None:
    stack.arm("orchestrator-after-commit", "SIGSTOP")
    began = time.monotonic()

    status, body, _ = await desk.post_start("proof/one", "unanswered")

    # The gateway waits for the reply, then finds the key in PostgreSQL by itself.
    assert status == 202, body
    assert time.monotonic() - began > 1.5
    (stopped,) = desk.stopped()
    again = await desk.start("proof/one", key="unanswered")
    assert again == body["id"]
    os.kill(stopped, signal.SIGKILL)

    assert await desk.start("proof/one", key="unanswered") == body["id"]
    await desk.balanced([again])


async def test_at_most_once_runs_once_though_its_executor_dies(stack: Any, desk: Any) -> None:
    stack.arm("before-result-publish")

    id = await desk.start("proof/once")

    assert await desk.finished([id]) == {"faulted": 1}
    (row,) = await desk.fetch(
        "SELECT error, (SELECT string_agg(convert_from(events, 'UTF8'), '') FROM workflow.history "
        "WHERE execution_id = id) AS history FROM workflow.workflow_executions WHERE id = $1::uuid",
        id,
    )
    assert "Unknown outcome" in row["error"]
    keys = [key for key in stack.ledger.effects if key in row["history"]]
    assert [stack.ledger.effects[key] for key in keys] == [1]


async def test_the_invariants_say_which_execution_has_no_reason_to_wait(desk: Any) -> None:
    id = await desk.start("proof/one", input={"ms": 1500})

    async def waits() -> bool:
        return bool(
            await desk.fetch("SELECT 1 FROM workflow.waits WHERE execution_id = $1::uuid", id)
        )

    await desk.until(waits, "the task to be open")
    assert (await desk.invariants())["orphans"] == 0
    kept = await desk.fetch(
        "DELETE FROM workflow.waits WHERE execution_id = $1::uuid RETURNING *", id
    )

    found = await desk.invariants()

    assert (found["ok"], found["orphans"]) == (False, 1)
    assert [each["id"] for each in found["examples"]] == [id]
    assert len(kept) == 1
    # Its result comes all the same.
    await desk.balanced([id])
