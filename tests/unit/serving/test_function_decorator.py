"""What the decorator makes of a function, and what it refuses."""

import sys
import types
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

import pytest
from pydantic import BaseModel, Field

from common.serving.functions import Function, TaskContext, function, functions_in


class Question(BaseModel):
    text: str
    top_k: int = Field(5, alias="topK")


@dataclass
class Answer:
    text: str


class Loose(TypedDict):
    text: str


def declared(call: Any) -> Function:
    (found,) = functions_in(types.SimpleNamespace(call=call))
    return found


def test_the_function_stays_what_it_was() -> None:
    @function("greet")
    def greet(input: dict[str, Any]) -> str:
        return f"Hello {input['name']}"

    assert greet({"name": "Ada"}) == "Hello Ada"


def test_type_hints_become_schemas() -> None:
    @function("ask", version="2.1.0", queue="qa")
    async def ask(input: Question, context: TaskContext) -> Answer:
        """Answers questions.

        At length.
        """
        return Answer(input.text)

    found = declared(ask)
    assert (found.reference, found.queue, found.description) == (
        "ask:2.1.0",
        "qa",
        "Answers questions.",
    )
    assert (found.is_async, found.takes_context) == (True, True)
    assert found.input_schema is not None
    assert found.output_schema is not None
    assert set(found.input_schema["properties"]) == {"text", "topK"}
    assert found.output_schema["required"] == ["text"]


def test_a_hint_that_pydantic_cannot_read_is_plain_json() -> None:
    @function("loose")
    def loose(input: Loose) -> None: ...

    has_schema = declared(loose).input_schema is not None
    assert has_schema == (sys.version_info >= (3, 12))


def test_plain_json_has_no_schema() -> None:
    @function("any")
    def anything(input: dict[str, Any]) -> list[str]:
        return list(input)

    found = declared(anything)
    assert (found.input_schema, found.output_schema, found.input_type) == (None, None, None)


def test_a_schema_that_is_given_wins_over_the_hint() -> None:
    @function("ask", input_schema={"type": "object"})
    def ask(input: Question) -> None: ...

    assert declared(ask).input_schema == {"type": "object"}


def test_promises_travel_in_the_declaration() -> None:
    @function("pay", at_most_once=True, timeout=timedelta(seconds=3))
    def pay(input: Any) -> None: ...

    found = declared(pay)
    assert found.timeout_seconds == 3
    assert found.declaration().at_most_once


def test_a_function_under_two_names_is_found_once() -> None:
    @function("one")
    def one(input: Any) -> None: ...

    assert len(list(functions_in(types.SimpleNamespace(a=one, b=one)))) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "no spaces please"},
        {"name": "x@default"},
        {"name": ""},
        {"name": "x", "version": "1"},
        {"name": "x", "queue": "a b"},
        {"name": "x", "queue": "{q}"},
        {"name": "x", "timeout": 0},
    ],
)
def test_what_cannot_work_is_refused_when_it_is_written(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"should|cannot"):
        function(**arguments)


def test_a_signature_that_cannot_be_called_is_refused() -> None:
    with pytest.raises(ValueError, match="input, context"):

        @function("none")
        def none() -> None: ...

    with pytest.raises(ValueError, match="input, context"):

        @function("many")
        def many(a: int, b: int, c: int) -> None: ...
