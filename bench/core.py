"""What a turn of the core costs, without any I/O: `python bench/core.py`."""

from __future__ import annotations

import gc
import time
import uuid
from collections.abc import Callable
from typing import Any

from workflow.core.history import ExecutionFacts, to_cloud_event
from workflow.core.messages import Continue, Start, TaskCompleted
from workflow.core.plan import Plan, compile_plan
from workflow.core.snapshot import decode
from workflow.core.state import State, new_state
from workflow.core.turn import Turn, TurnResult
from workflow.core.values import Value
from workflow.document.catalog import Functions, FunctionSpec

NOOP = FunctionSpec(name="noop", version="1.0.0", queue="noop")
NAMES = {"namespace": "bench", "name": "core", "version": "1.0.0"}
NOW_MS = 1_700_000_000_000


def plan_of(tasks: list[dict[str, Any]]) -> Plan:
    document = {"document": {"dsl": "1.0.3", **NAMES}, "do": tasks}
    return compile_plan(document, Functions([NOOP]))


def call(name: str, **parts: Any) -> dict[str, Any]:
    return {name: {"call": "noop:1.0.0@default", "with": {"n": "${ .n }"}, **parts}}


def turn(plan: Plan, state: State, message: Any) -> TurnResult:
    running = Turn(plan, state, now_ms=NOW_MS)
    running.run(message)
    return running.finish()


def best_us(work: Callable[[], None], per: int, rounds: int = 7) -> float:
    """The fastest of several rounds, in microseconds per piece of work."""
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best * 1e6 / per


def drain(plan: Plan, input: Any, *, reload: bool) -> tuple[int, int]:
    """Run to the end, answering every call at once; turns and the largest snapshot."""
    state = new_state(str(uuid.uuid4()), **NAMES)
    messages: list[Any] = [Start(Value(input))]
    turns = largest = 0
    for message in messages:
        result = turn(plan, state, message)
        turns += 1
        largest = max(largest, len(result.snapshot))
        messages.extend(
            TaskCompleted(wait.key, Value.of_bytes(b'{"n":1}')) if wait.task else Continue()
            for wait in result.effects.opened
        )
        if reload:
            state = decode(result.snapshot, plan)
    assert state.phase == "completed", state.phase
    return turns, largest


def three_calls() -> None:
    plan = plan_of([call("a"), call("b"), call("c")])
    for reload in (False, True):

        def work(reload: bool = reload) -> None:
            for _ in range(500):
                drain(plan, {"n": 1}, reload=reload)

        label = "state decoded every turn" if reload else "state kept"
        print(f"three calls, {label:26} {best_us(work, 500 * 4):8.1f} µs per turn")


def one_turn() -> None:
    plan = plan_of([call(f"t{n}") for n in range(1000)])
    state = new_state(str(uuid.uuid4()), **NAMES)
    result = turn(plan, state, Start(Value({"n": 1})))
    keys = [result.effects.opened[0].key]

    def work() -> None:
        for _ in range(100):
            message = TaskCompleted(keys[0], Value.of_bytes(b'{"n":1}'))
            keys[0] = turn(plan, state, message).effects.opened[0].key

    print(f"result → next call opened, encoded     {best_us(work, 100):8.1f} µs")


def set_tasks() -> None:
    plan = plan_of([{f"s{n}": {"set": {"n": "${ .n + 1 }"}}} for n in range(400)])

    def work() -> None:
        turn(plan, new_state(str(uuid.uuid4()), **NAMES), Start(Value({"n": 1})))

    print(f"set task                               {best_us(work, 400):8.1f} µs")


def wide_forks() -> None:
    for count in (100, 1000, 4000):
        plan = plan_of([{"f": {"fork": {"branches": [call(f"b{n}") for n in range(count)]}}}])
        began = time.process_time()
        turns, largest = drain(plan, {"n": 1}, reload=False)
        each = (time.process_time() - began) * 1e6 / count
        print(
            f"fork of {count:5} calls: {turns:5} turns    {each:8.1f} µs per branch, snapshot ≤ {largest} bytes"
        )


def long_loops() -> None:
    for count in (100, 1000, 10_000):
        plan = plan_of([{"l": {"for": {"in": ".items"}, "do": [call("c")]}}])
        items = [{"n": n, "text": "some words"} for n in range(count)]
        began = time.process_time()
        turns, largest = drain(plan, {"n": 1, "items": items}, reload=False)
        each = (time.process_time() - began) * 1e6 / count
        print(
            f"loop of {count:5} calls: {turns:5} turns    {each:8.1f} µs per turn, snapshot ≤ {largest} bytes"
        )


def public_events() -> None:
    facts = ExecutionFacts(str(uuid.uuid4()), str(uuid.uuid4()), "bench", "core", "1.0.0")
    plan = plan_of([call("a")])
    events = turn(
        plan, new_state(str(uuid.uuid4()), **NAMES), Start(Value({"n": 1}))
    ).effects.events

    def work() -> None:
        for _ in range(1000):
            for sequence, event in enumerate(events):
                to_cloud_event(event, facts, sequence)

    print(f"public event                           {best_us(work, 1000 * len(events)):8.1f} µs")


if __name__ == "__main__":
    for measure in (one_turn, three_calls, set_tasks, public_events, wide_forks, long_loops):
        measure()
