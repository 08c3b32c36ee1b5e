"""Cancel, suspend, resume, and what a host closes by force."""

import pytest

from workflow.core.messages import (
    Cancel,
    Continue,
    Fault,
    Resume,
    Start,
    Suspend,
    TaskCompleted,
    TimerFired,
)
from workflow.core.rehearsal import NEVER, ROOT_ID, START_MS, Rehearsal, Reply
from workflow.core.turn import Limits
from workflow.core.values import Value

ECHO = "echo:1.0.0@default"
BUSY = [
    {
        "f": {
            "fork": {
                "branches": [
                    {"a": {"call": ECHO, "timeout": {"after": {"hours": 1}}}},
                    {"b": {"do": [{"w": {"wait": {"hours": 1}}}]}},
                    {
                        "c": {
                            "run": {
                                "workflow": {
                                    "namespace": "tests",
                                    "name": "child",
                                    "version": "1.0.0",
                                }
                            }
                        }
                    },
                ]
            }
        }
    },
    {"after": {"set": {"done": True}}},
]


@pytest.fixture
def world(make_document, twins):
    from workflow.document.catalog import Functions, FunctionSpec

    def make(tasks, *, answers=None, limits=None):
        functions = Functions([FunctionSpec(name="echo", version="1.0.0", queue="echo")])
        child = make_document([{"rest": {"wait": {"hours": 1}}}], name="child")
        made = twins(
            make_document(tasks), child, answers=answers, functions=functions, limits=limits
        )
        execution = made.run(until_ms=made.now_ms)
        return made, execution

    return make


def test_cancel_closes_everything_and_says_what_to_stop(world):
    made, execution = world(BUSY, answers={"a": [NEVER]})
    open_before = set(execution.open)
    result = made.deliver(ROOT_ID, Cancel("enough"))
    assert execution.phase == "cancelled"
    assert set(result.effects.closed) == open_before
    assert [task.queue for task in result.effects.cancelled_tasks] == ["echo"]
    assert len(result.effects.cancelled_children) == 1
    made.proceed()
    assert {each.phase for each in made.executions.values()} == {"cancelled"}
    assert execution.error == {"title": "Cancelled", "detail": "enough"}
    assert execution.history[-1] == {
        "type": "workflow.cancelled", "at": START_MS, "reason": "enough",
    }  # fmt: skip


def test_nothing_happens_to_a_finished_execution(world):
    made, execution = world([{"a": {"set": {}}}])
    for message in (Cancel(), Suspend(), Resume(), Start(Value({})), Fault(None, {}), Continue()):
        assert not made.deliver(ROOT_ID, message).changed
    assert execution.phase == "completed"


def test_before_the_start_only_start_cancel_and_fault_count(world, make_document):
    for message, phase in ((Cancel("no"), "cancelled"), (Fault(None, {"status": 500}), "faulted")):
        made = Rehearsal(make_document([{"a": {"set": {}}}]))
        execution = made.start(made._plans[0], ROOT_ID, Value({}))
        assert not made.deliver(ROOT_ID, Suspend()).changed
        assert not made.deliver(ROOT_ID, TimerFired("1")).changed
        assert made.deliver(ROOT_ID, message).changed
        assert execution.phase == phase
        made.proceed()
        assert execution.phase == phase


def test_suspended_running_tasks_are_recorded_and_nothing_new_opens(world):
    tasks = [{"a": {"call": ECHO}}, {"b": {"call": ECHO}}]
    made, execution = world(tasks, answers={"a": [NEVER], "b": [Reply("b")]})
    key = next(iter(execution.open))
    made.deliver(ROOT_ID, Suspend("hold on"))
    assert execution.phase == "suspended"
    assert {wait.kind for wait in execution.open.values()} == {"task", "suspended"}
    made.deliver(ROOT_ID, TaskCompleted(key, Value("a")))
    assert execution.events("completed") == ["a"]
    assert [wait.kind for wait in execution.open.values()] == ["suspended"]
    made.deliver(ROOT_ID, Resume())
    assert execution.events("started") == ["a", "b"]
    made.proceed()
    assert execution.output == "b"
    types = [event["type"] for event in execution.history if "workflow" in event["type"]]
    assert types == [
        "workflow.started", "workflow.suspended", "workflow.resumed", "workflow.completed",
    ]  # fmt: skip


def test_a_failure_while_suspended_is_recorded_and_climbs_after_resume(world):
    tasks = [{"d": {"do": [{"a": {"call": ECHO}}]}}]
    broken = Reply(error={"type": "t", "status": 500}, after_ms=10)
    made, execution = world(tasks, answers={"a": [broken]})
    made.deliver(ROOT_ID, Suspend())
    made.proceed()
    assert execution.phase == "suspended"
    assert execution.events("faulted") == ["a"]
    made.deliver(ROOT_ID, Resume())
    assert execution.phase == "faulted"
    assert execution.events("faulted") == ["a", "d"]


def test_timers_are_left_for_later_while_suspended(world):
    made, execution = world([{"w": {"wait": {"seconds": 1}}}])
    made.deliver(ROOT_ID, Suspend())
    made.proceed()
    assert execution.phase == "suspended"
    timer = next(key for key, wait in execution.open.items() if wait.kind == "timer")
    made.deliver(ROOT_ID, Resume())
    assert execution.phase == "waiting"
    made.deliver(ROOT_ID, TimerFired(timer))
    assert execution.phase == "completed"


def test_suspending_twice_and_resuming_twice_is_once(world):
    made, execution = world([{"w": {"wait": {"seconds": 1}}}])
    assert not made.deliver(ROOT_ID, Resume()).changed
    assert made.deliver(ROOT_ID, Suspend()).changed
    assert not made.deliver(ROOT_ID, Suspend()).changed
    assert made.deliver(ROOT_ID, Resume()).changed
    made.deliver(ROOT_ID, Suspend())
    assert len([key for key, wait in execution.open.items() if wait.kind == "suspended"]) == 1


def test_a_suspended_execution_can_be_cancelled(world):
    made, execution = world(BUSY, answers={"a": [NEVER]})
    made.deliver(ROOT_ID, Suspend())
    made.deliver(ROOT_ID, Cancel())
    assert execution.phase == "cancelled"
    assert execution.open == {}


def test_the_host_may_fault_one_task(world):
    tasks = [{"t": {"try": [{"a": {"call": ECHO}}], "catch": {"retry": {}, "do": [
        {"h": {"set": {"d": "${ $error.detail }"}}}]}}}]  # fmt: skip
    made, execution = world(tasks, answers={"a": [NEVER]})
    key = next(iter(execution.open))
    result = made.deliver(ROOT_ID, Fault(key, {"detail": "dead letter"}))
    assert execution.output == {"d": "dead letter"}
    assert result.effects.closed == [key]
    assert len(made.calls) == 1


def test_the_host_may_fault_the_execution(world):
    made, execution = world(BUSY, answers={"a": [NEVER]})
    made.deliver(ROOT_ID, Fault(None, {"status": 500, "detail": "too large"}))
    assert execution.phase == "faulted"
    assert execution.error["detail"] == "too large"
    assert execution.open == {}


def test_a_message_about_something_unknown_changes_nothing(world):
    made, _ = world(BUSY, answers={"a": [NEVER]})
    for key in ("", "x", "999", "1", "2t", "c7", "1r0", "2a0", "-3", "3.5", "³"):
        assert not made.deliver(ROOT_ID, TimerFired(key)).changed, key
        assert not made.deliver(ROOT_ID, TaskCompleted(key, Value(1))).changed, key
        assert not made.deliver(ROOT_ID, Fault(key, {})).changed, key
    assert not made.deliver(ROOT_ID, Continue()).changed


def test_the_phase_is_waiting_when_no_executor_has_work(world):
    made, execution = world(
        [{"a": {"call": ECHO}}, {"w": {"wait": {"seconds": 1}}}], answers={"a": [NEVER]}
    )
    assert execution.phase == "running"
    made.deliver(ROOT_ID, TaskCompleted(next(iter(execution.open)), Value({})))
    assert execution.phase == "waiting"


def test_a_suspension_in_the_middle_of_a_long_stretch_holds_it(world):
    tasks = [
        {"up": {"set": {"n": "${ .n + 1 }"}}},
        {"again": {"switch": [{"more": {"when": ".n < 50", "then": "up"}}]}},
    ]
    made, execution = world(tasks, limits=Limits(transitions_max=10))
    assert execution.phase in {"running", "completed"}
    made = Rehearsal(made._plans[0].document, limits=Limits(transitions_max=10))
    execution = made.start(made._plans[0], ROOT_ID, Value({"n": 0}))
    made.deliver(ROOT_ID, Start(Value({"n": 0})))
    assert [wait.kind for wait in execution.open.values()] == ["continue"]
    made.deliver(ROOT_ID, Suspend())
    assert [wait.kind for wait in execution.open.values()] == ["suspended"]
    assert not made.deliver(ROOT_ID, Continue()).changed
    made.deliver(ROOT_ID, Resume())
    assert [wait.kind for wait in execution.open.values()] == ["continue"]
    made.proceed()
    assert execution.output == {"n": 50}
