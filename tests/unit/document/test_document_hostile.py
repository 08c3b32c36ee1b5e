"""Documents made to cost: each is answered with a bounded list, without comparing all with all."""

import json
from typing import Any

import pytest

from workflow.document import Code, load_document, validate
from workflow.document.report import DIAGNOSTICS_MAX

HEADER = {"dsl": "1.0.3", "namespace": "tests", "name": "sample", "version": "1.0.0"}
MANY = 3_000


def answer(**parts: Any) -> list[Any]:
    text = json.dumps({"document": HEADER, "do": [], **parts})
    return validate(load_document(text, "application/json"))


@pytest.mark.parametrize(
    "task",
    [
        {"wait": "PT1S", "then": "taks%d"},
        {"wait": "PT1S", "thn": "x"},
        {"wiat": "PT1S"},
        {"raise": {"error": "x%d"}},
        {"call": "unknown%d"},
        {"call": "llm:1.0.0@default", "with": {"promt": "x"}},
        {"set": "${ $unknown%d }"},
        {"set": "${ ( }"},
        {"wait": "%d"},
    ],
)
def test_many_mistakes_get_a_bounded_answer(task: dict[str, Any]) -> None:
    tasks = [{f"task{i}": json.loads(json.dumps(task).replace("%d", str(i)))} for i in range(MANY)]
    assert len(answer(do=tasks)) == DIAGNOSTICS_MAX


def test_many_unused_declarations_do_not_hide_an_error() -> None:
    errors = {f"error{i}": {"type": "https://a.example", "status": 1} for i in range(MANY)}
    found = answer(use={"errors": errors}, schedule={"every": "PT1H"})
    assert found[0].code is Code.UNSUPPORTED
    assert len(found) == 1 + DIAGNOSTICS_MAX


def test_patterns_are_counted_before_they_are_compiled() -> None:
    pattern = {"type": "string", "pattern": "\\p{L}{1,20}"}
    schema = {"properties": {f"p{i}": pattern for i in range(MANY)}}
    (found,) = answer(input={"schema": {"document": schema}})
    assert (found.code, "3000 patterns" in found.message) == (Code.LIMIT, True)


def test_a_pattern_that_explodes_is_refused() -> None:
    schema = {"pattern": "((a{0,90}){0,90}){0,90}"}
    (found,) = answer(input={"schema": {"document": schema}})
    assert found.code is Code.SCHEMA
    assert "large repetitions" in (found.advice or "")


def test_a_schema_that_multiplies_is_refused() -> None:
    three = {"allOf": [{"$ref": "#"}] * 3}
    value: dict[str, Any] = {}
    for _ in range(50):
        value = {"a": value}
    function = {
        "input": {"schema": {"document": {"properties": {"a": three}}}},
        "set": {"x": 1},
    }
    (found,) = answer(use={"functions": {"f": function}}, do=[{"t": {"call": "f", "with": value}}])
    assert (found.code, found.pointer) == (
        Code.SCHEMA,
        "/use/functions/f/input/schema/document",
    )
    assert "doubles with every level" in found.message
    assert "alternatives" in (found.advice or "")


def test_nested_loops_keep_their_variables_apart() -> None:
    tasks: list[Any] = [{"inner": {"set": "${ [$v0, $v9] }"}}]
    for level in range(9, -1, -1):
        loop = {"in": ".x", "each": f"v{level}", "at": f"i{level}"}
        tasks = [{f"loop{level}": {"for": loop, "do": tasks}}]
    assert answer(do=tasks) == []
