"""Functions are found by name and version, and their schemas describe what they take."""

from typing import Any

import pytest

from workflow.document import Functions, FunctionSpec, parse_reference
from workflow.document.catalog import BUILT_IN
from workflow.document.json_schemas import compile_schema


def takes(function: str, value: Any) -> bool:
    spec = Functions().find(function, "1.0.0")
    assert spec is not None
    return bool(compile_schema(dict(spec.input_schema)).is_valid(value))


def test_references_have_three_parts() -> None:
    assert parse_reference("llm:1.0.0@default") == ("llm", "1.0.0", "default")
    for other in ("llm", "llm:1.0.0", "llm@default", "https://a.example/f:1@x", "a:b:c@d", ""):
        assert parse_reference(other) is None


def test_the_built_in_functions_have_their_queues() -> None:
    assert {spec.name: spec.queue for spec in BUILT_IN} == {
        "llm": "llm",
        "embed": "knowledge.search",
        "search": "knowledge.search",
        "ingest": "knowledge.ingest",
    }


@pytest.mark.parametrize("spec", BUILT_IN, ids=lambda spec: spec.name)
def test_the_schemas_of_built_in_functions_compile(spec: FunctionSpec) -> None:
    compile_schema(dict(spec.input_schema))
    compile_schema(dict(spec.output_schema))
    assert spec.description


def test_own_functions_stand_beside_the_built_in_ones() -> None:
    own = FunctionSpec(name="shout", version="1.2.3", queue="own", at_most_once=True)
    functions = Functions([own])
    assert functions.find("shout", "1.2.3") is own
    assert functions.find("shout", "1.0.0") is None
    assert "shout:1.2.3" in functions.names()
    assert "llm:1.0.0" in functions.names()


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        ("llm", {"prompt": "hello"}, True),
        ("llm", {"messages": [{"role": "user", "content": "hello"}], "maxTokens": 5}, True),
        ("llm", {"messages": []}, False),
        ("llm", {"prompt": "a", "temperature": 3}, False),
        ("llm", {"prompt": "a", "responseSchema": {"type": "object"}}, True),
        ("search", {"collection": "c", "query": "q", "filter": {"a": 1}, "rerank": True}, True),
        ("search", {"collection": "c", "query": "q", "topK": 0}, False),
        ("embed", {"texts": ["a"]}, True),
        ("embed", {"texts": []}, False),
        ("ingest", {"collection": "c", "documents": [{"id": "a", "text": "t"}]}, True),
        ("ingest", {"collection": "c", "documents": [{"id": "a"}]}, False),
        ("ingest", {"collection": "c", "documents": [{"text": "a", "url": "b"}]}, False),
        ("ingest", {"collection": "c", "documents": [{"url": "b"}]}, False),
        (
            "ingest",
            {"collection": "c", "documents": [{"text": "", "mediaType": "text/plain"}]},
            True,
        ),
    ],
)
def test_functions_take_what_their_schema_says(function: str, value: Any, expected: bool) -> None:
    assert takes(function, value) is expected
