"""Any workflow, any order of messages, repeated and late ones included: the same promises hold.

A host without scruples drives the core: it answers what is open in any order, repeats old answers, fires timers early, suspends,
resumes, cancels. Three copies run side by side: one keeps its state in memory, one stores and reads it before every turn, one is
fed the whole story again at the end. All must agree to the byte.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow.core.messages import (
    Cancel,
    ChildClosed,
    Continue,
    EventArrived,
    Fault,
    Message,
    Resume,
    Start,
    Suspend,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from workflow.core.plan import Plan, compile_plan
from workflow.core.rehearsal import evaluate_here
from workflow.core.snapshot import decode, encode
from workflow.core.state import new_state
from workflow.core.turn import Limits, NeedEvaluation, NeedValues, Turn, TurnResult
from workflow.core.values import Value
from workflow.document.catalog import Functions, FunctionSpec

ID = str(uuid.UUID(int=77))
NAMES = {"namespace": "tests", "name": "any", "version": "1.0.0"}
NOOP = FunctionSpec(name="noop", version="1.0.0", queue="noop")
FINAL = {"workflow.completed", "workflow.faulted", "workflow.cancelled"}
ENDS = {"task.completed", "task.faulted", "task.cancelled"}

OUTPUT_VALUES: list[Any] = [{"n": 1}, {"n": 2}, {"n": 3, "pad": "p" * 700}, {"n": 1}, {"n": 2}, 5]

RARE: list[Message] = [
    *[Suspend()] * 4,
    Cancel("stop"),
    Continue(),
    Resume(),
    Start(Value({})),
    Fault(None, {"status": 500}),
]

# Documents

NOTHING: list[Any] = [None] * 6
OUTPUTS = st.sampled_from(
    [*NOTHING, "{n: ([range(3)] | length)}", "$input", "[., $task.input]", "{n: .n.n}"]
)
EXPORTS = st.sampled_from([*NOTHING, "$context + {k: .}", "{big: .}"])
TIMEOUTS = st.sampled_from([*NOTHING, {"after": {"seconds": 5}}])
CONDITIONS = st.sampled_from([*NOTHING, ".n? != 3", "[range($input.n)] | length > 1"])


@st.composite
def tasks(draw: Any, depth: int) -> dict[str, Any]:
    leaves = ["call"] * 5 + [
        "set",
        "wait",
        "switch",
        "run",
        "emit",
        "listen",
        "listen",
        draw(st.sampled_from(["raise", "call"])),
    ]
    composites = ["do", "for", "for", "fork", "fork", "try", "try", "try"]
    kind = draw(st.sampled_from(leaves + (composites if depth else [])))
    task: dict[str, Any] = draw(KINDS[kind](depth))
    for name, value in (
        ("if", draw(CONDITIONS)),
        ("timeout", draw(TIMEOUTS)),
        ("output", draw(OUTPUTS)),
        ("export", draw(EXPORTS)),
    ):
        if value is not None:
            task[name] = {"as": value} if name in {"output", "export"} else value
    if draw(st.integers(0, 14)) == 0:
        task["then"] = draw(st.sampled_from(["exit", "end", "continue"]))
    return task


@st.composite
def lists(draw: Any, depth: int, most: int = 3) -> list[dict[str, Any]]:
    count = draw(st.sampled_from([3, 2, 1])) if most == 3 else draw(st.sampled_from([2, 1]))
    return [{f"t{n}": draw(tasks(depth))} for n in range(count)]


def sets(depth: int) -> Any:
    sizes = st.sampled_from([0, 0, 300, 2000])
    return sizes.map(lambda size: {"set": {"n": "${ .n? // 1 }", "pad": "x" * size}})


def calls(depth: int) -> Any:
    return st.just({"call": "noop:1.0.0@default", "with": {"given": "${ . }"}})


def waits(depth: int) -> Any:
    return st.just({"wait": {"seconds": 2}})


def raises(depth: int) -> Any:
    return st.just({"raise": {"error": {"type": "https://e.x/y", "status": 418}}})


def switches(depth: int) -> Any:
    return st.just({"switch": [{"a": {"when": ".n? == 2", "then": "exit"}}]})


def runs(depth: int) -> Any:
    given = {"namespace": "tests", "name": "other", "version": "1.0.0"}
    return st.booleans().map(lambda awaited: {"run": {"workflow": given, "await": awaited}})


def dos(depth: int) -> Any:
    return lists(depth - 1).map(lambda inner: {"do": inner})


@st.composite
def fors(draw: Any, depth: int) -> dict[str, Any]:
    items = draw(
        st.sampled_from(["[1, 2, 3]", "[]", '[1, "' + "y" * 150 + '", "' + "z" * 150 + '"]'])
    )
    loop = {"for": {"in": items}, "do": draw(lists(depth - 1, 2))}
    if draw(st.booleans()):
        loop["while"] = "$index < 2"
    return loop


@st.composite
def forks(draw: Any, depth: int) -> dict[str, Any]:
    if draw(st.integers(0, 5)) == 0:
        branches = [{f"b{n}": draw(calls(0))} for n in range(10)]
    else:
        branches = draw(lists(depth - 1))
    return {"fork": {"branches": branches, "compete": draw(st.booleans())}}


@st.composite
def tries(draw: Any, depth: int) -> dict[str, Any]:
    catch: dict[str, Any] = {}
    if draw(st.booleans()):
        limit: dict[str, Any] = {"attempt": {"count": draw(st.integers(0, 2))}}
        if draw(st.booleans()):
            limit["attempt"]["duration"] = {"seconds": 3}
        catch["retry"] = {"delay": {"seconds": draw(st.integers(0, 1))}, "limit": limit}
    if draw(st.booleans()):
        catch["do"] = draw(lists(depth - 1, 2))
    if draw(st.integers(0, 4)) == 0:
        catch["errors"] = {"with": {"status": 418}}
    return {"try": draw(lists(depth - 1, 2)), "catch": catch}


def emits(depth: int) -> Any:
    return st.just({"emit": {"event": {"with": {"type": "told", "data": "${ . }"}}}})


FILTERS = st.sampled_from(
    [
        {"with": {"type": "a"}},
        {"with": {"type": "a", "data": "${ .n > 1 }"}},
        {"with": {"type": "${ [., 1] | length == 2 }"}},
        {"with": {"data": {"n": 2}}, "correlate": {"c": {"from": ".type"}}},
        {"with": {"type": "b"}, "correlate": {"c": {"from": ".data.n", "expect": "${ .n? // 1 }"}}},
    ]
)


@st.composite
def listens(draw: Any, depth: int) -> dict[str, Any]:
    some = st.lists(FILTERS, max_size=2)
    strategy = draw(st.sampled_from(["one", "any", "all"]))
    to = {strategy: draw(FILTERS if strategy == "one" else some)}
    if strategy == "any":
        until = draw(st.sampled_from([None, "length > 1", "length > 10", "all", "one"]))
        if until in {"all", "one"}:
            to["until"] = {until: draw(FILTERS if until == "one" else some)}
        elif until is not None:
            to["until"] = until
    task: dict[str, Any] = {
        "listen": {"to": to, "read": draw(st.sampled_from(["data", "envelope"]))}
    }
    if draw(st.booleans()):
        task["foreach"] = {
            "do": draw(lists(depth - 1, 2)) if depth else [{"c": draw(calls(0))}],
            **draw(st.sampled_from([{}, {"output": {"as": "[., $item, $index]"}}])),
            **draw(st.sampled_from([{}, {"export": {"as": "{seen: $index}"}}])),
        }
    return task


KINDS = {
    "set": sets, "call": calls, "wait": waits, "raise": raises, "switch": switches, "run": runs,
    "do": dos, "for": fors, "fork": forks, "try": tries, "emit": emits, "listen": listens,
}  # fmt: skip


# The host


@dataclass
class Copy:
    """One way to live through the story."""

    plan: Plan
    limits: Limits
    reload: bool
    snapshot: bytes = b""
    values: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = new_state(ID, **NAMES)

    def turn(self, messages: list[Message], now_ms: int) -> TurnResult:
        if self.reload and self.snapshot:
            self.state = decode(self.snapshot, self.plan)
            assert encode(self.state) == (self.snapshot, [])
        turn = Turn(self.plan, self.state, now_ms=now_ms, limits=self.limits)
        for message in messages:
            answer = turn.run(message)
            while isinstance(answer, NeedValues | NeedEvaluation):
                if isinstance(answer, NeedValues):
                    turn.supply_values({id: self.values[id] for id in answer.references})
                else:
                    turn.supply_evaluation(evaluate_here(answer))
                answer = turn.resume()
        result = turn.finish()
        if result.changed:
            self.snapshot = result.snapshot
        for value in result.effects.values:
            assert value.id not in self.values, "a value is stored once"
            self.values[value.id] = value.raw
        return result


@dataclass
class Host:
    """Keeps the books of one execution, and finds fault with whatever does not add up."""

    open: dict[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)
    tries: set[tuple[str, int]] = field(default_factory=set)
    consumed: set[tuple[str, int]] = field(default_factory=set)
    sequence: int = 0
    phase: str = "pending"

    def record(self, result: TurnResult) -> None:
        effects = result.effects
        assert result.sequence_from == self.sequence + 1
        assert result.sequence_to == self.sequence + len(effects.events)
        # The sequence is the execution's version. A change without an event must be one that may be lost and done again.
        if result.changed and not effects.events:
            assert not any((effects.opened, effects.cancelled_tasks, effects.cancelled_children))
            assert all(key.startswith("c") for key in effects.closed)
        self.sequence = result.sequence_to
        self.events += effects.events
        for task in effects.cancelled_tasks:
            assert self.open[task.key].task.task_id == task.task_id
            assert task.key in effects.closed
        assert set(effects.consumed) & self.consumed == set(), "an event is consumed once"
        self.consumed.update(effects.consumed)
        assert all(key in self.open for key, _ in effects.consumed)
        for key in effects.closed:
            del self.open[key]
        for wait in effects.opened:
            assert wait.key not in self.seen, "a key is used once"
            self.seen.add(wait.key)
            if wait.task is not None:
                assert (wait.task.task_id, wait.task.attempt) not in self.tries
                self.tries.add((wait.task.task_id, wait.task.attempt))
            if wait.child is None or wait.child.awaited:
                self.open[wait.key] = wait
        if effects.phase is not None:
            assert effects.phase != self.phase
            self.phase = effects.phase
        self.check()

    @property
    def is_over(self) -> bool:
        return self.phase in {"completed", "faulted", "cancelled"}

    def check(self) -> None:
        finals = [event for event in self.events if event["type"] in FINAL]
        if self.is_over:
            assert self.open == {}
            assert finals == self.events[-1:]
        else:
            assert finals == []
            assert self.open or self.phase == "pending", "an unfinished execution has a reason"
            busy = any(wait.kind in {"task", "continue"} for wait in self.open.values())
            suspended = any(wait.kind == "suspended" for wait in self.open.values())
            if self.phase != "pending":
                expected = "suspended" if suspended else "running" if busy else "waiting"
                assert self.phase == expected

    def check_story_of_tasks(self) -> None:
        alive: dict[str, str] = {}
        for event in self.events:
            if not event["type"].startswith("task."):
                continue
            task, type = event["task"], event["type"]
            match type:
                case "task.created":
                    assert task not in alive
                    alive[task] = type
                case "task.started":
                    assert alive[task] == "task.created"
                    alive[task] = type
                case _ if type in ENDS:
                    assert alive.pop(task) == "task.started"
                case "task.retried":
                    assert alive[task] == "task.started"
        if self.is_over:
            assert alive == {}


def answer(dice: Random, host: Host) -> Message:
    """Something that a host may say: an answer, a repetition, or something from another life."""
    if dice.random() < 0.08:
        return dice.choice([*RARE, Fault(dice.choice(sorted(host.open) or ["1"]), {"status": 500})])
    if dice.random() < 0.4 and any(key.startswith("s") for key in host.open):
        return Resume()
    late = sorted(host.seen) if dice.random() < 0.15 else []
    key = dice.choice(late or sorted(host.open) or ["1"])
    kind = (
        host.open[key].kind
        if key in host.open
        else dice.choice(["task", "timer", "child", "event"])
    )
    output = Value(dice.choice(OUTPUT_VALUES))
    match kind:
        case "timer":
            return TimerFired(key)
        case "child":
            status = dice.choice(["completed", "completed", "completed", "faulted", "cancelled"])
            return ChildClosed(key, status, output)
        case "continue":
            return Continue()
        case "suspended":
            return Resume()
        case "event":
            number = dice.randint(1, 100_000)
            event = {"type": dice.choice("ab"), "data": dice.choice(OUTPUT_VALUES[:5])}
            return EventArrived(key, number, {"id": str(number), "source": "/s", **event})
        case _ if dice.random() < 0.2:
            return TaskFailed(key, {"type": "https://e.x/f", "status": 418})
        case _:
            return TaskCompleted(key, output)


def same(one: TurnResult, other: TurnResult) -> None:
    assert one.snapshot == other.snapshot
    assert one.effects == other.effects


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(document=lists(3), seed=st.integers(0, 2**32), transitions_max=st.sampled_from([3, 500]))
def test_any_story_keeps_every_promise(
    document: list[dict[str, Any]], seed: int, transitions_max: int
) -> None:
    dice = Random(seed)
    plan = compile_plan({"document": {"dsl": "1.0.3", **NAMES}, "do": document}, Functions([NOOP]))
    limits = Limits(transitions_max=transitions_max)
    kept, stored = Copy(plan, limits, reload=False), Copy(plan, limits, reload=True)
    host = Host()
    story: list[tuple[list[Message], int]] = []
    messages: list[Message] = [Start(Value({"n": dice.randint(1, 3)}))]
    for step in range(80):
        now_ms = 1_700_000_000_000 + step * 700
        story.append((messages, now_ms))
        result = kept.turn(messages, now_ms)
        same(result, stored.turn(messages, now_ms))
        host.record(result)
        if host.is_over:
            break
        messages = [answer(dice, host) for _ in range(dice.randint(1, 2))]
    host.check_story_of_tasks()
    again = Copy(plan, limits, reload=False)
    results = [again.turn(messages, now_ms) for messages, now_ms in story]
    assert [event for each in results for event in each.effects.events] == host.events
    assert again.snapshot == kept.snapshot
    for late in (TimerFired("2t"), TaskCompleted("3", Value(1)), Cancel(), Resume()):
        assert not (host.is_over and kept.turn([late], 0).changed)
