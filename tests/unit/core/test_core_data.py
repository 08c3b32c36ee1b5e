"""Data on its way: input, output, export, schemas, variables, expressions."""

import pytest

from workflow.core.turn import EvaluationFailure, EvaluationResult


def test_input_from_filters_what_the_task_sees(rehearse):
    run = rehearse(
        [{"pick": {"input": {"from": ".user.id"}, "set": {"id": "${ . }"}}}],
        {"user": {"id": "u1"}},
    )
    assert run.output == {"id": "u1"}


def test_output_as_sees_raw_output_and_the_transformed_input(rehearse):
    run = rehearse(
        [
            {
                "call": {
                    "input": {"from": ".n"},
                    "call": "echo:1.0.0@default",
                    "output": {"as": "{got: .x, given: $input, raw: $task.input}"},
                }
            }
        ],
        {"n": 7},
        answers={"call": [{"x": 1}]},
    )
    assert run.output == {"got": 1, "given": 7, "raw": {"n": 7}}


def test_export_replaces_the_context_and_sees_the_transformed_output(rehearse):
    run = rehearse(
        [
            {
                "a": {
                    "set": {"x": 1},
                    "output": {"as": ".x"},
                    "export": {"as": "{a: ., o: $output}"},
                }
            },
            {"b": {"set": {"x": 2}, "export": {"as": "$context + {b: .x}"}}},
            {"c": {"set": "${ $context }"}},
        ]
    )
    assert run.output == {"a": 1, "o": 1, "b": 2}


def test_the_context_begins_empty(rehearse):
    assert rehearse([{"c": {"set": {"context": "${ $context }"}}}]).output == {"context": {}}


@pytest.mark.parametrize("place", ["input", "output"])
def test_a_schema_of_a_task_is_checked(rehearse, place):
    schema = {"schema": {"document": {"type": "object", "required": ["x"]}}}
    run = rehearse([{"a": {"set": {"y": 1}, place: schema}}])
    assert run.error["type"].endswith("/validation")
    assert run.error["status"] == 400
    assert run.error["instance"] == "/do/0/a"


def test_the_export_schema_is_checked(rehearse):
    schema = {"document": {"required": ["x"]}}
    run = rehearse([{"a": {"set": {}, "export": {"as": "{y: 1}", "schema": schema}}}])
    assert run.error["type"].endswith("/validation")


def test_the_workflow_input_is_checked_and_transformed(rehearse):
    parts = {"input": {"schema": {"document": {"required": ["n"]}}, "from": "{m: .n}"}}
    tasks = [{"see": {"set": {"now": "${ . }", "raw": "${ $workflow.input }"}}}]
    assert rehearse(tasks, {"n": 1}, **parts).output == {"now": {"m": 1}, "raw": {"n": 1}}
    assert rehearse(tasks, {}, **parts).error["instance"] == ""


def test_the_workflow_output_is_transformed_then_checked(rehearse):
    tasks = [{"a": {"set": {"n": 1}}}]
    schema = {"document": {"type": "integer"}}
    assert rehearse(tasks, output={"as": ".n", "schema": schema}).output == 1
    assert rehearse(tasks, output={"schema": schema}).error["type"].endswith("/validation")


def test_variables_say_where_we_are(rehearse):
    run = rehearse(
        [
            {
                "look": {
                    "set": {
                        "task": "${ $task.name }",
                        "reference": "${ $task.reference }",
                        "kind": "${ $task.definition.set.task }",
                        "workflow": "${ $workflow.definition.document.name }",
                        "id": "${ $workflow.id }",
                        "runtime": "${ $runtime.name }",
                        "seconds": "${ $task.startedAt.epoch.seconds }",
                        "iso": "${ $workflow.startedAt.iso8601 }",
                    }
                }
            }
        ]
    )
    assert run.output == {
        "task": "look",
        "reference": "/do/0/look",
        "kind": "${ $task.name }",
        "workflow": "example",
        "id": "01900000-0000-7000-8000-000000000001",
        "runtime": "kwe",
        "seconds": 1_700_000_000,
        "iso": "2023-11-14T22:13:20.000Z",
    }


def test_expressions_in_data_are_data(rehearse):
    assert rehearse([{"a": {"set": {"x": "${ .e }"}}}], {"e": "${ 1 + 1 }"}).output == {
        "x": "${ 1 + 1 }"
    }


def test_a_failing_expression_is_an_error_of_its_task(rehearse):
    run = rehearse([{"a": {"set": {"x": "${ .n.m.o }"}}}], {"n": 1})
    assert run.error["type"].endswith("/expression")
    assert run.error["instance"] == "/do/0/a"
    assert run.names("faulted") == ["a"]


def test_no_value_is_null_and_several_values_are_an_error(rehearse):
    assert rehearse([{"a": {"set": {"x": "${ empty }"}}}]).output == {"x": None}
    assert rehearse([{"a": {"set": {"x": "${ 1, 2 }"}}}]).error["type"].endswith("/expression")


def test_a_slow_expression_is_evaluated_elsewhere_once(rehearse):
    asked = []

    def evaluate(need):
        asked.append((need.source, need.current, need.variables))
        return EvaluationResult(len(asked))

    run = rehearse(
        [{"a": {"set": {"x": "${ [range(.n)] | length }", "y": "${ [range($input.n)] }"}}}],
        {"n": 2},
        evaluate=evaluate,
    )
    assert run.output == {"x": 1, "y": 2}
    assert [source for source, _, _ in asked] == ["[range(.n)] | length", "[range($input.n)]"]
    assert asked[0][1:] == ({"n": 2}, {})
    assert asked[1][2] == {"input": {"n": 2}}


def test_a_slow_expression_that_fails_is_an_expression_error(rehearse):
    run = rehearse(
        [{"a": {"set": {"x": "${ [range(.n)] }"}}}],
        {"n": 2},
        evaluate=lambda need: EvaluationFailure("out of time"),
    )
    assert run.error["detail"] == "out of time"


def test_large_values_are_stored_once_and_loaded_when_needed(rehearse):
    run = rehearse(
        [
            {"keep": {"call": "echo:1.0.0@default"}},
            {"rest": {"wait": {"seconds": 1}}},
            {"size": {"set": {"n": "${ .text | length }"}}},
        ],
        answers={"keep": [{"text": "x" * 5000}]},
    )
    assert run.output == {"n": 5000}
    completed = [e for e in run.history if e["type"] == "task.completed"]
    assert completed[0]["outputSize"] == completed[1]["outputSize"] == 5011
    assert completed[0]["outputRef"] == completed[1]["outputRef"]
    assert len(run.world._values) == 1


def test_a_value_that_does_not_outlive_the_turn_is_not_stored(rehearse):
    run = rehearse([{"big": {"set": {"t": "x" * 3000}}}, {"small": {"set": {"n": 1}}}])
    assert run.world._values == {}
    completed = [e for e in run.history if e["type"] == "task.completed"]
    assert completed[0]["outputSize"] == 3008
    assert "outputRef" not in completed[0]


def test_a_rehearsal_evaluates_slow_expressions_with_jq(rehearse):
    tasks = [{"a": {"set": {"x": "${ [range(.n)] | map(. * $input.n) }"}}}]
    assert rehearse(tasks, {"n": 3}).output == {"x": [0, 3, 6]}
    assert rehearse([{"a": {"set": {"x": "${ range(3) }"}}}]).error["type"].endswith("/expression")
    assert "numeric" in rehearse(tasks, {"n": "no"}).error["detail"].lower()


def test_the_context_lasts_over_turns(rehearse):
    rest = {"wait": {"seconds": 1}}
    branches = [
        {"x": {**rest, "export": {"as": "$context + {x: 1}"}}},
        {"y": {"wait": {"seconds": 2}, "export": {"as": "$context + {y: 2}"}}},
    ]
    race = [{"z": {**rest, "export": {"as": "$context + {z: 3}"}}}, {"late": {"wait": "PT9S"}}]
    run = rehearse(
        [
            {"a": {**rest, "export": {"as": "$context + {a: 0}"}}},
            {"b": rest},
            {"both": {"fork": {"branches": branches}}},
            {"c": rest},
            {"first": {"fork": {"branches": race, "compete": True}}},
            {"d": rest},
            {"see": {"set": "${ $context }"}},
        ]
    )
    assert run.output == {"a": 0, "x": 1, "y": 2, "z": 3}


DEEP = "${ reduce range(%d) as $i (0; [.]) }"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ('${ {x: "a\\u0000b"} }', "NUL"),
        ('${ {("a\\u0000"): 1} }', "NUL"),
        (DEEP % 129, "levels"),
        (DEEP % 240, "levels"),
    ],
)
@pytest.mark.parametrize(
    "place", ["set", "output", "export", "input", "with", "raise", "for", "child"]
)
def test_a_value_that_cannot_be_stored_or_sent_is_an_expression_error(
    rehearse, expression, reason, place
):
    task = {
        "set": {"set": expression},
        "output": {"set": {}, "output": {"as": expression}},
        "export": {"set": {}, "export": {"as": expression}},
        "input": {"set": {}, "input": {"from": expression}},
        "with": {"call": "echo:1.0.0@default", "with": {"x": expression}},
        "raise": {"raise": {"error": {"type": "https://a.test/b", "status": 400, "detail": expression}}},
        "for": {"for": {"in": f"${{ [{expression[2:-1]}] }}"}, "do": [{"x": {"set": {}}}]},
        "child": {"run": {"workflow": {"namespace": "a", "name": "b", "version": "1.0.0", "input": expression}}},
    }[place]  # fmt: skip
    run = rehearse([{"a": task}])
    assert run.error["type"].endswith("/expression")
    assert run.error["status"] == 400
    assert run.error["instance"] == "/do/0/a"
    assert reason in run.error["detail"]


def test_the_text_of_an_escape_is_no_nul(rehearse):
    run = rehearse([{"a": {"set": {"x": '${ "\\\\u0000" + .n }'}}}], {"n": "\\"})
    assert run.output == {"x": "\\u0000\\"}


def test_many_brackets_are_not_depth(rehearse):
    run = rehearse([{"a": {"set": {"x": "${ [range(300) | [.]] }", "y": "[" * 200}}}])
    assert len(run.output["x"]) == 300


def test_what_jq_raises_may_contain_nul(rehearse):
    run = rehearse([{"a": {"set": {"x": '${ error("a\\u0000b") }'}}}])
    assert run.error["detail"].count("\x00") == 0
