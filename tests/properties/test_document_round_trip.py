"""Any document of the language survives being parsed and written again, in either format."""

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from workflow.document import (
    Construct,
    Definition,
    DocumentRefused,
    canonical_json,
    load_document,
    validate,
)
from workflow.document.source import join

TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
NAMES = st.from_regex(r"[a-z][a-zA-Z0-9]{0,8}", fullmatch=True)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
EXPRESSIONS = st.sampled_from(["${ .a }", ".a.b", "$context", "${ [.x] | length }", "true"])
DURATIONS = (
    st.sampled_from(["PT5S", "P1D", "PT0.5S", "${ .delay }"])
    | st.fixed_dictionaries({"seconds": st.integers(0, 10**6)}, optional={"days": st.just(1)})
    | st.fixed_dictionaries({"milliseconds": st.integers(0, 10**6)})
)
OBJECTS = st.dictionaries(TEXTS, JSON, min_size=1, max_size=3)
FLOWS = st.sampled_from(["continue", "exit", "end"])
SCHEMAS = st.fixed_dictionaries({"document": JSON}, optional={"format": st.just("json")})
TRANSFORMS = st.fixed_dictionaries({}, optional={"schema": SCHEMAS, "as": EXPRESSIONS | OBJECTS})
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "if": EXPRESSIONS,
    "input": st.fixed_dictionaries({}, optional={"schema": SCHEMAS, "from": EXPRESSIONS}),
    "output": TRANSFORMS,
    "export": TRANSFORMS,
    "timeout": NAMES | st.fixed_dictionaries({"after": DURATIONS}),
    "then": FLOWS | NAMES,
    "metadata": st.dictionaries(TEXTS, JSON, max_size=2),
}
ERRORS = st.fixed_dictionaries(
    {"type": st.just("https://a.example/error"), "status": st.integers(100, 599)},
    optional={"title": TEXTS, "detail": TEXTS, "instance": TEXTS},
)
EVENTS = st.fixed_dictionaries(
    {"with": st.fixed_dictionaries({"type": TEXTS}, optional={"data": JSON, "priority": JSON})}
)
RETRIES: st.SearchStrategy[Any] = NAMES | st.fixed_dictionaries(
    {},
    optional={
        "when": EXPRESSIONS,
        "delay": DURATIONS,
        "backoff": st.sampled_from([{"constant": {}}, {"linear": {}}, {"exponential": {}}]),
        "limit": st.fixed_dictionaries({}, optional={"duration": DURATIONS}),
        "jitter": st.fixed_dictionaries({"from": DURATIONS, "to": DURATIONS}),
    },
)


YAML_PRINTABLE = re.compile(
    r"[\n -~\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]*"
)
"""What YAML lets stand without an escape, less what some readers take for the end of a line."""


def task(*required: tuple[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(dict(required), optional={**optional, **COMMON})


def named(tasks: st.SearchStrategy[Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.builds(lambda name, value: {name: value}, NAMES, tasks), max_size=3)


LEAVES = st.one_of(
    task(("set", OBJECTS | EXPRESSIONS)),
    task(("wait", DURATIONS)),
    task(("call", st.just("llm:1.0.0@default")), **{"with": st.dictionaries(TEXTS, JSON)}),
    task(
        ("call", st.just("http")),
        (
            "with",
            st.fixed_dictionaries(
                {"method": st.just("get"), "endpoint": st.just("https://a.example/{id}")},
                optional={"body": JSON, "headers": st.dictionaries(TEXTS, TEXTS, max_size=2)},
            ),
        ),
    ),
    task(("raise", st.fixed_dictionaries({"error": NAMES | ERRORS}))),
    task(("emit", st.fixed_dictionaries({"event": EVENTS}))),
    task(
        (
            "switch",
            st.lists(
                st.builds(
                    lambda name, case: {name: case},
                    NAMES,
                    st.fixed_dictionaries({"then": FLOWS}, optional={"when": EXPRESSIONS}),
                ),
                min_size=1,
                max_size=3,
            ),
        )
    ),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    tasks = named(inner)
    loops = st.fixed_dictionaries(
        {"in": EXPRESSIONS | st.lists(OBJECTS, max_size=2)}, optional={"each": NAMES, "at": NAMES}
    )
    catches = st.fixed_dictionaries(
        {}, optional={"as": NAMES, "when": EXPRESSIONS, "retry": RETRIES, "do": tasks}
    )
    branches = st.fixed_dictionaries({"branches": tasks}, optional={"compete": st.booleans()})
    return st.one_of(
        task(("do", tasks)),
        task(("for", loops), ("do", tasks), **{"while": EXPRESSIONS}),
        task(("fork", branches)),
        task(("try", tasks), ("catch", catches)),
    )


DOCUMENTS = st.fixed_dictionaries(
    {
        "document": st.fixed_dictionaries(
            {
                "dsl": st.just("1.0.3"),
                "namespace": NAMES,
                "name": NAMES,
                "version": st.just("1.0.0"),
            },
            optional={"title": TEXTS, "tags": st.dictionaries(TEXTS, JSON, max_size=2)},
        ),
        "do": named(st.recursive(LEAVES, nested, max_leaves=6)),
    },
    optional={"timeout": st.fixed_dictionaries({"after": DURATIONS}), "output": TRANSFORMS},
)


@settings(max_examples=60, deadline=None)
@given(DOCUMENTS)
def test_parsing_what_was_written_gives_the_same_definition(document: dict[str, Any]) -> None:
    definition = Definition.model_validate(document)
    assert definition.content() == document
    loaded = load_document(canonical_json(definition.content()), "application/json")
    assert Definition.model_validate(loaded.value).content() == definition.content()
    assert canonical_json(loaded.value) == canonical_json(document)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    text = json.dumps(value, indent=1)
    loaded = load_document(text, "application/json")
    assert loaded.value == json.loads(text)
    assert repr(loaded.value) == repr(json.loads(text))


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_json_is_yaml(value: Any) -> None:
    for escaped in (True, False):
        text = json.dumps(value, ensure_ascii=escaped, indent=1)
        if not escaped and not YAML_PRINTABLE.fullmatch(text):
            continue
        as_yaml, as_json = load_document(text), load_document(text, "application/json")
        assert canonical_json(as_yaml.value) == canonical_json(as_json.value)


def places_of(value: Any, pointer: str = "") -> list[str]:
    members: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [pointer, *(p for key, member in members for p in places_of(member, join(pointer, key)))]


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_every_value_has_a_place_inside_the_text(value: Any) -> None:
    text = json.dumps(value, indent=1)
    lines = text.split("\n")
    source = load_document(text, "application/json").source
    for pointer in places_of(value):
        line, column = source.values[pointer]
        assert 1 <= column <= len(lines[line - 1])


@settings(max_examples=80, deadline=None)
@given(DOCUMENTS, st.data())
def test_validation_always_answers_with_places(document: dict[str, Any], data: Any) -> None:
    """Whatever is broken in a document, the answer is a list of diagnostics in the text."""
    target: Any = document
    while isinstance(target, dict | list) and target and data.draw(st.booleans()):
        key = data.draw(
            st.sampled_from(list(target) if isinstance(target, dict) else list(range(len(target))))
        )
        if data.draw(st.booleans()):
            target[key] = data.draw(JSON)
        target = target[key]
    loaded = load_document(json.dumps(document), "application/json")
    for diagnostic in validate(loaded, executable=frozenset(Construct)):
        assert diagnostic.line == 1
        assert diagnostic.column is not None
        assert diagnostic.message


YAML_PIECES = st.lists(
    st.sampled_from(
        ["a", ": ", "\n", "  ", "- ", "{", "}", "[", "]", ",", "'", '"', "|", ">", "&x ", "*x",
         "!t ", "#", "---", "...", "%", "?", "1", "\t", "\\", "\r", "\x85", "é", "😀", "~", "${", ".a"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(YAML_PIECES | st.text(max_size=60) | st.binary(max_size=60))
def test_noise_is_a_document_or_refused_and_nothing_else(noise: str | bytes) -> None:
    for media_type in ("application/yaml", "application/json"):
        try:
            loaded = load_document(noise, media_type)
        except DocumentRefused:
            continue
        canonical_json(loaded.value)
        assert validate(loaded)
