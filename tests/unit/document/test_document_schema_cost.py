"""Checks against a schema take a bounded time, or the schema is refused."""

import time
from typing import Any

import pytest

from workflow.document.json_schemas import InvalidSchema, compile_schema
from workflow.document.schema_cost import CHECKS_MAX

TREE = {"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}}
PAIR = {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}}
ANY_JSON = {
    "$ref": "#/$defs/value",
    "$defs": {
        "value": {
            "anyOf": [
                {"type": ["string", "number"]},
                {"type": "array", "items": {"$ref": "#/$defs/value"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
            ]
        }
    },
}
BY_WAY_OF_ANOTHER = {
    "$ref": "#/$defs/a",
    "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"properties": {"x": {"$ref": "#/$defs/a"}}}},
}


def doubling(count: int) -> dict[str, Any]:
    """Definitions that each refer twice to the next."""
    inner = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2, "title": f"{n}"}
        for n in range(count)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**inner, f"d{count}": {"type": "object"}}}


@pytest.mark.parametrize("schema", [TREE, PAIR, ANY_JSON, BY_WAY_OF_ANOTHER, doubling(8), True, {}])
def test_schemas_that_follow_the_value_are_taken(schema: Any) -> None:
    value: dict[str, Any] = {}
    for _ in range(60):
        value = {"left": value, "right": {}, "x": value}
    began = time.monotonic()
    compile_schema(schema).is_valid({"children": [{}], "left": {"left": {}}})
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (doubling(40), f"more than {CHECKS_MAX:,} parts"),
        ({"$ref": "#"}, "without going into the value"),
        (
            {
                "$ref": "#/$defs/a",
                "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}},
            },
            "without going into the value",
        ),
        ({"anyOf": [{"properties": {"x": {"$ref": "#"}}}] * 2}, "doubles with every level"),
        (
            {"properties": {"x": {"$ref": "#"}}, "additionalProperties": {"$ref": "#"}},
            "doubles with every level",
        ),
        (
            {
                "allOf": [{"$ref": "#/$defs/b"}],
                "properties": {"x": {"$ref": "#"}},
                "$defs": {"b": {"properties": {"x": {"$ref": "#"}}}},
            },
            "doubles with every level",
        ),
        ({"$dynamicRef": "#a"}, "dynamic references"),
        ({"properties": {"x": {"$id": "urn:x", "$ref": "#/$defs/a"}}}, "`\\$id` inside"),
        ({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}, "refer to its own parts"),
    ],
)
def test_schemas_that_may_take_for_ever_are_refused(schema: Any, reason: str) -> None:
    with pytest.raises(InvalidSchema, match=reason):
        compile_schema(schema)


def test_a_long_chain_of_definitions_is_looked_through_quickly() -> None:
    count = 5000
    chain = {f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{n + 1}"}}} for n in range(count)}
    with pytest.raises(InvalidSchema, match=r"."):
        compile_schema({"$ref": "#/$defs/d0", "$defs": chain})
