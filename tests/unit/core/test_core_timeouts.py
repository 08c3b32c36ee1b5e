"""Timeouts of tasks and workflows."""

import pytest

from workflow.core.messages import Continue, TaskCompleted, TimerFired
from workflow.core.rehearsal import NEVER, Reply
from workflow.core.snapshot import decode
from workflow.core.turn import Limits, Turn
from workflow.core.values import Value

ECHO = "echo:1.0.0@default"


def test_a_task_that_takes_too_long_is_interrupted(rehearse):
    run = rehearse(
        [{"c": {"call": ECHO, "timeout": {"after": {"seconds": 5}}}}], answers={"c": [NEVER]}
    )
    assert run.error["type"].endswith("/timeout")
    assert run.error["status"] == 408
    assert run.error["instance"] == "/do/0/c"
    assert run.history[-1]["at"] - run.history[0]["at"] == 5000
    assert run.execution.open == {}


def test_the_executor_learns_how_long_a_try_may_take(rehearse):
    inner = [{"c": {"call": ECHO, "timeout": {"after": "PT10S"}}}, {"d": {"call": ECHO}}]
    run = rehearse(
        [{"outer": {"do": inner, "timeout": {"after": {"seconds": 8}}}}],
        answers={"c": [Reply(1, after_ms=3000)], "d": [NEVER]},
        until_ms=3000,
    )
    waits = [wait for wait in run.execution.open.values() if wait.task]
    assert [wait.task.timeout_ms for wait in waits] == [5000]


def test_a_task_in_time_leaves_no_timer(rehearse):
    run = rehearse(
        [{"c": {"call": ECHO, "timeout": {"after": {"seconds": 5}}}}, {"w": {"wait": "PT1M"}}]
    )
    assert run.output == {}
    assert run.execution.open == {}


def test_a_timeout_interrupts_everything_inside(rehearse):
    branches = [{"a": {"call": ECHO}}, {"b": {"do": [{"w": {"wait": {"hours": 1}}}]}}]
    run = rehearse(
        [{"f": {"fork": {"branches": branches}, "timeout": {"after": {"seconds": 5}}}}],
        answers={"a": [NEVER]},
    )
    assert run.names("cancelled") == ["a", "w", "b"]
    assert run.names("faulted") == ["f"]


def test_a_timeout_may_be_named_or_computed(rehearse):
    use = {"timeouts": {"short": {"after": "PT2S"}}}
    run = rehearse([{"w": {"wait": "PT1H", "timeout": "short"}}], use=use)
    assert run.history[-1]["at"] - run.history[0]["at"] == 2000
    computed = {"after": '${ "PT\\(.n)S" }'}
    run = rehearse([{"w": {"wait": "PT1H", "timeout": computed}}], {"n": 3})
    assert run.history[-1]["at"] - run.history[0]["at"] == 3000


def test_a_timeout_is_an_error_that_can_be_caught(rehearse):
    slow = {"c": {"call": ECHO, "timeout": {"after": {"seconds": 5}}}}
    catch = {"errors": {"with": {"status": 408}}, "retry": {"limit": {"attempt": {"count": 1}}}}
    run = rehearse(
        [{"t": {"try": [slow], "catch": catch}}], answers={"c": [NEVER, Reply("second")]}
    )
    assert run.output == "second"


def test_a_timeout_on_a_try_covers_its_retries(rehearse):
    broken = Reply(error={"type": "t", "status": 500})
    catch = {"retry": {"delay": {"seconds": 2}}}
    run = rehearse(
        [{"t": {"try": [{"c": {"call": ECHO}}], "catch": catch, "timeout": {"after": "PT5S"}}}],
        answers={"c": [broken]},
    )
    assert len(run.calls("c")) == 3
    assert run.error["instance"] == "/do/0/t"
    assert run.execution.open == {}


def test_a_timeout_of_a_loop_covers_all_its_turns(rehearse):
    tasks = [
        {
            "l": {
                "for": {"in": "[1, 2, 3]"},
                "do": [{"w": {"wait": {"seconds": 2}}}],
                "timeout": {"after": {"seconds": 5}},
            }
        }
    ]
    assert rehearse(tasks).error["status"] == 408


def test_the_workflow_has_a_timeout(rehearse):
    run = rehearse([{"w": {"wait": {"hours": 1}}}], timeout={"after": {"seconds": 3}})
    assert run.error["status"] == 408
    assert run.names("cancelled") == ["w"]
    assert run.history[-1]["type"] == "workflow.faulted"


@pytest.mark.parametrize(
    ("own", "seconds"), [({"after": {"seconds": 3}}, 3), ({"after": "PT1H"}, 10)]
)
def test_a_definition_may_only_lower_the_operators_limit(rehearse, own, seconds):
    run = rehearse(
        [{"w": {"wait": {"hours": 2}}}], timeout=own, limits=Limits(duration_ms_max=10_000)
    )
    assert run.history[-1]["at"] - run.history[0]["at"] == seconds * 1000


def test_a_result_that_came_before_the_timeout_counts_even_if_it_is_recorded_later(rehearse):
    limited = {"call": ECHO, "timeout": {"after": {"seconds": 5}}}
    tasks = [{"f": {"fork": {"branches": [{"a": limited}, {"b": limited}]}}}]
    run = rehearse(tasks, answers={"a": [NEVER], "b": [NEVER]}, until_ms=0)
    first, second = (wait.key for wait in run.execution.open.values() if wait.task)
    state = decode(run.execution.snapshot, run.execution.plan)
    # One transition is all that this turn may do, so the second result waits for its turn when the timer comes.
    turn = Turn(
        run.execution.plan, state, now_ms=run.world.now_ms, limits=Limits(transitions_max=1)
    )
    for message in (
        TaskCompleted(first, Value(1)),
        TaskCompleted(second, Value(2)),
        TimerFired(f"{second}t"),
    ):
        turn.run(message)
    turn.finish()
    turn = Turn(run.execution.plan, state, now_ms=run.world.now_ms)
    turn.run(Continue())
    output = turn.finish().effects.output
    assert output is not None
    assert output.json == [1, 2]
