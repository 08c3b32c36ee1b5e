"""`for`: items, variables, conditions, and what a loop costs."""

import pytest

from workflow.core.rehearsal import Reply

MARK = {"set": {"seen": "${ .seen + [[$item, $index]] }"}}


def loop(do, **parts):
    return [{"loop": {"for": parts, "do": do}}]


def test_each_turn_gets_the_output_of_the_one_before(rehearse):
    run = rehearse(
        [
            {
                "loopColors": {
                    "for": {"each": "color", "in": ".colors"},
                    "do": [
                        {
                            "mark": {
                                "set": {
                                    "processed": "${ { colors: (.processed.colors + [$color]),"
                                    " indexes: (.processed.indexes + [$index]) } }"
                                }
                            }
                        }
                    ],
                }
            }
        ],
        {"colors": ["red", "green", "blue"]},
    )
    assert run.output == {"processed": {"colors": ["red", "green", "blue"], "indexes": [0, 1, 2]}}


def test_variables_have_default_and_given_names(rehearse):
    assert rehearse(loop([{"m": MARK}], **{"in": "[5, 6]"})).output == {"seen": [[5, 0], [6, 1]]}
    named = {"set": {"sum": "${ .sum + $x * $i }"}}
    run = rehearse(loop([{"m": named}], **{"in": "[5, 6]", "each": "x", "at": "i"}))
    assert run.output == {"sum": 6}


def test_loop_variables_are_gone_after_the_loop(rehearse):
    after = [{"after": {"set": {"i": "${ $item }"}}}]
    run = rehearse(loop([{"m": MARK}], **{"in": "[1]"}) + after)
    assert "item" in run.error["detail"]


def test_inner_loops_see_the_variables_of_outer_ones(rehearse):
    inner = {
        "for": {"each": "y", "in": "[1, 2]"},
        "do": [{"m": {"set": {"all": "${ .all + [$x * 10 + $y] }"}}}],
    }
    run = rehearse(loop([{"inner": inner}], **{"in": "[1, 2]", "each": "x"}))
    assert run.output == {"all": [11, 12, 21, 22]}


def test_an_inline_list_may_be_given(rehearse):
    run = rehearse(
        loop([{"m": {"set": {"n": "${ .n + $item.n }"}}}], **{"in": [{"n": 1}, {"n": 2}]})
    )
    assert run.output == {"n": 3}


def test_no_turn_at_all_gives_the_input(rehearse):
    assert rehearse(loop([{"m": MARK}], **{"in": ".none"}), {"none": []}).output == {"none": []}


@pytest.mark.parametrize("items", [None, {"a": 1}, "text", 5])
def test_items_must_be_an_array(rehearse, items):
    run = rehearse(loop([{"m": MARK}], **{"in": ".items"}), {"items": items})
    assert run.error["type"].endswith("/expression")
    assert run.error["instance"] == "/do/0/loop"


def test_while_ends_the_loop(rehearse):
    tasks = [
        {
            "loop": {
                "for": {"in": "[1, 2, 3, 4]"},
                "while": ".sum < 3 and $item < 4",
                "do": [{"add": {"set": {"sum": "${ .sum + $item }"}}}],
            }
        }
    ]
    assert rehearse(tasks, {"sum": 0}).output == {"sum": 3}


def test_exit_ends_the_turn_and_the_loop_goes_on(rehearse):
    do = [
        {"mark": {"set": {"n": "${ .n + 1 }"}, "then": "exit"}},
        {"never": {"set": {"n": 100}}},
    ]
    assert rehearse(loop(do, **{"in": "[1, 2, 3]"}), {"n": 0}).output == {"n": 3}


def test_references_name_the_turn_and_pointers_do_not(rehearse):
    run = rehearse(loop([{"c": {"call": "echo:1.0.0@default"}}], **{"in": "[1, 2]"}))
    assert [call.reference for call in run.calls("c")] == [
        "/do/0/loop/for/0/do/0/c",
        "/do/0/loop/for/1/do/0/c",
    ]
    assert len({call.task_id for call in run.calls("c")}) == 2
    run = rehearse(
        loop([{"c": {"call": "echo:1.0.0@default"}}], **{"in": "[1, 2]"}),
        answers={"c": [1, Reply(error={"type": "t", "status": 500})]},
    )
    assert run.error["instance"] == "/do/0/loop/do/0/c"


@pytest.mark.parametrize("count", [3, 500])
def test_items_survive_being_stored(rehearse, count):
    items = [{"n": n, "text": "x" * 30} for n in range(count)]
    do = [
        {"c": {"call": "echo:1.0.0@default", "with": {"n": "${ $item.n }"}, "output": {"as": ".n"}}}
    ]
    run = rehearse(loop(do, **{"in": ".items"}), {"items": items})
    assert [call.input["n"] for call in run.calls("c")] == list(range(count))
    assert run.output == count - 1


def test_while_may_read_the_input_of_the_loop(rehearse):
    task = {
        "for": {"in": "[1, 2, 3]"},
        "while": ".n < $input.most and $task.input.most == 2",
        "do": [{"c": {"call": "echo:1.0.0@default", "with": {"n": "${ .n + 1 }"}}}],
    }
    assert rehearse([{"loop": task}], {"n": 0, "most": 2}).output == {"n": 2}
