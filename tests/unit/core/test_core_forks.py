"""`fork`: branches side by side, joining, competing."""

import pytest

from workflow.core.rehearsal import NEVER, Reply

ECHO = "echo:1.0.0@default"


def fork(*branches, **parts):
    return [{"split": {"fork": {"branches": list(branches), **parts}}}]


def test_outputs_join_in_order_of_declaration(rehearse):
    run = rehearse(
        fork({"slow": {"call": ECHO}}, {"quick": {"call": ECHO}}),
        answers={"slow": [Reply("s", after_ms=50)], "quick": [Reply("q")]},
    )
    assert run.output == ["s", "q"]
    assert run.names("completed") == ["quick", "slow", "split"]


def test_every_branch_gets_the_input_of_the_fork(rehearse):
    run = rehearse(
        fork({"a": {"set": {"a": "${ .n }"}}}, {"b": {"set": {"b": "${ .n + 1 }"}}}), {"n": 1}
    )
    assert run.output == [{"a": 1}, {"b": 2}]


def test_references_name_the_branch(rehearse):
    run = rehearse(fork({"a": {"do": [{"c": {"call": ECHO}}]}}))
    assert run.calls("c")[0].reference == "/do/0/split/fork/branches/0/a/do/0/c"


def test_contexts_are_apart_until_the_join_and_merge_shallowly(rehearse):
    tasks = [
        {"before": {"set": {}, "export": {"as": "{n: 0, k: {deep: 1}}"}}},
        *fork(
            {"a": {"set": {}, "export": {"as": "{n: 1, a: $context.n}"}}},
            {"b": {"set": {}, "export": {"as": "{b: $context.n, k: {other: 2}}"}}},
            {"c": {"set": {"seen": "${ $context }"}}},
        ),
        {"after": {"set": "${ $context }"}},
    ]
    run = rehearse(tasks)
    assert run.output == {"n": 1, "a": 0, "b": 0, "k": {"other": 2}}
    completed = {e["name"]: e["output"] for e in run.history if e["type"] == "task.completed"}
    assert completed["c"] == {"seen": {"n": 0, "k": {"deep": 1}}}


def test_contexts_of_forks_in_forks_merge_outwards(rehearse):
    inner = fork(
        {"x": {"set": {}, "export": {"as": "$context + {x: 1}"}}},
        {"y": {"set": {}, "export": {"as": "$context + {y: 2}"}}},
    )
    tasks = [*fork({"deep": {"do": inner}}, {"z": {"set": {}}}), {"see": {"set": "${ $context }"}}]
    assert rehearse(tasks).output == {"x": 1, "y": 2}


def test_a_fault_in_a_branch_cancels_the_others_and_faults_the_fork(rehearse):
    run = rehearse(
        fork(
            {"hang": {"do": [{"c": {"call": ECHO}}]}},
            {"bad": {"call": ECHO}},
            {"done": {"set": {}}},
        ),
        answers={"c": [NEVER], "bad": [Reply(error={"type": "t", "status": 418})]},
    )
    assert run.error["status"] == 418
    assert run.names("cancelled") == ["c", "hang"]
    assert run.names("faulted") == ["bad", "split"]
    assert run.execution.open == {}


def test_the_first_branch_of_a_competition_wins_and_the_others_are_cancelled(rehearse):
    run = rehearse(
        fork({"slow": {"call": ECHO}}, {"quick": {"call": ECHO}}, compete=True),
        answers={"slow": [Reply("s", after_ms=50)], "quick": [Reply("q", after_ms=1)]},
    )
    assert run.output == "q"
    assert run.names("cancelled") == ["slow"]


def test_a_competition_that_needs_no_waiting_is_won_by_the_first(rehearse):
    run = rehearse(fork({"a": {"set": {"a": 1}}}, {"b": {"set": {"b": 1}}}, compete=True))
    assert run.output == {"a": 1}
    assert run.names("created") == ["split", "a"]


def test_only_the_winner_exports(rehearse):
    tasks = [
        *fork(
            {"a": {"set": {}, "export": {"as": "{a: 1}"}}},
            {"b": {"call": ECHO, "export": {"as": "{b: 1}"}}},
            compete=True,
        ),
        {"see": {"set": "${ $context }"}},
    ]
    assert rehearse(tasks).output == {"a": 1}


def test_end_in_a_branch_ends_the_workflow(rehearse):
    run = rehearse(
        [
            *fork({"hang": {"call": ECHO}}, {"stop": {"set": {"bye": 1}, "then": "end"}}),
            {"never": {"set": {}}},
        ],
        answers={"hang": [NEVER]},
    )
    assert run.output == {"bye": 1}
    assert run.names("cancelled") == ["hang"]
    assert run.names("completed") == ["stop", "split"]


@pytest.mark.parametrize("count", [8, 9, 60])
def test_large_and_exported_results_join_after_being_stored(rehearse, count):
    branches = [{f"b{n}": {"call": ECHO, "export": {"as": f"{{k{n}: .n}}"}}} for n in range(count)]
    answers = {
        f"b{n}": [Reply({"n": n, "text": "x" * 400}, after_ms=(n * 7) % count)]
        for n in range(count)
    }
    run = rehearse([*fork(*branches), {"see": {"set": {"c": "${ $context }", "n": "${ [.[].n] }"}}}],
                   answers=answers)  # fmt: skip
    assert run.output["n"] == list(range(count))
    assert run.output["c"] == {f"k{n}": n for n in range(count)}


def test_a_wide_fork_takes_turns_of_bounded_size(rehearse):
    from workflow.core.turn import Limits

    branches = [{f"b{n}": {"call": ECHO, "with": {"n": n}}} for n in range(50)]
    run = rehearse(fork(*branches), limits=Limits(transitions_max=5))
    assert run.output == [{"n": n} for n in range(50)]


def test_a_skipped_branch_gives_its_input(rehearse):
    run = rehearse(fork({"a": {"if": "false", "set": {}}}, {"b": {"set": {"b": 1}}}), {"n": 1})
    assert run.output == [{"n": 1}, {"b": 1}]


def test_branches_of_several_kinds_end_at_different_times(rehearse):
    run = rehearse(
        fork(
            {"w": {"wait": {"seconds": 3}, "output": {"as": "1"}}},
            {"d": {"do": [{"v": {"wait": {"seconds": 1}}}, {"s": {"set": {"n": 2}}}]}},
            {"c": {"call": ECHO, "timeout": {"after": {"hours": 1}}, "output": {"as": "3"}}},
        ),
        answers={"c": [Reply("c", after_ms=2000)]},
    )
    assert run.output == [1, {"n": 2}, 3]
    assert run.execution.open == {}
