"""The models and the language's own JSON Schema accept and refuse the same documents.

Each example is changed in one place at a time. Where the models are stricter, it is one of the
ways listed here; where the schema is stricter, there is none but those.

The schema is not part of this repository: see `KWE_DSL_EXAMPLES` in the unit tests' conftest.
"""

import os
import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from workflow.document import load_document
from workflow.document.checks.identity import LABEL, SEMVER
from workflow.document.structure import Problem, read_definition

VALUES: list[Any] = [
    None, 1, -1, 1.5, 2.0, True, "", "text", "${ .x }", "PT5S", [], {}, {"zz": 1}, [1], [{}],
]  # fmt: skip
PROPERTIES: dict[str, Any] = {
    "unknown": 1, "until": ".x", "with": {}, "use": "x", "then": "end", "do": [], "in": ".x",
    "timeout": {"after": "PT5S"}, "set": {"a": 1}, "read": "data", "as": "x", "if": ".x",
}  # fmt: skip
SAMPLE = 12_000
SEED = 20_260_729

Path_ = tuple[str | int, ...]


def folder() -> Path:
    given = os.environ.get("KWE_DSL_EXAMPLES")
    found = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "dsl"
    found = found.parent if found.name == "examples" else found
    if not (found / "workflow.schema.yaml").is_file():
        pytest.skip("the language's schema is not here")
    return found


def paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    yield path
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    for key, member in members:
        yield from paths(member, (*path, key))


def at(value: Any, path: Path_) -> Any:
    for key in path:
        value = value[key]
    return value


def changes(document: Any) -> Iterator[tuple[str, Path_, Any]]:
    for path in paths(document):
        if path:
            yield from (("set", path, value) for value in VALUES)
            yield "delete", path, None
        holder = at(document, path)
        if isinstance(holder, dict):
            yield from (("add", path, name) for name in PROPERTIES if name not in holder)


def changed(document: Any, kind: str, path: Path_, value: Any) -> Any:
    copy = deepcopy(document)
    match kind:
        case "add":
            at(copy, path)[value] = PROPERTIES[value]
        case "set":
            at(copy, path[:-1])[path[-1]] = deepcopy(value)
        case _:
            del at(copy, path[:-1])[path[-1]]
    return copy


def is_known_strictness(problem: Problem) -> bool:
    """Where we refuse what the schema lets pass, on purpose."""
    return (
        # The schema forgot to close some objects; nothing that is written may be ignored.
        problem.kind == "extra_forbidden"
        # A negative duration has no meaning.
        or (problem.kind == "duration" and "negative" in problem.message)
        # An event without properties has no type.
        or (problem.kind == "missing" and problem.pointer.endswith("/emit/event/with"))
    )


def is_identified(document: Any) -> bool:
    """The schema checks these by pattern; here they have diagnostics of their own."""
    header = document["document"]
    return all(
        pattern.fullmatch(header[name]) is not None
        for name, pattern in (
            ("dsl", SEMVER),
            ("version", SEMVER),
            ("namespace", LABEL),
            ("name", LABEL),
        )
    )


def test_the_models_agree_with_the_schema_on_changed_examples() -> None:
    language = folder()
    schema = load_document((language / "workflow.schema.yaml").read_bytes()).value
    validator = jsonschema_rs.validator_for(schema)
    examples = {
        path.name: load_document(path.read_bytes()).value
        for path in sorted((language / "examples").glob("*.yaml"))
    }
    every = [(name, change) for name, document in examples.items() for change in changes(document)]
    agreed = 0
    for name, change in random.Random(SEED).sample(every, SAMPLE):
        document = changed(examples[name], *change)
        expected = validator.is_valid(document)
        definition, problems = read_definition(document)
        accepted = definition is not None and is_identified(document)
        if expected and not accepted and problems:
            assert all(map(is_known_strictness, problems)), (name, change, problems)
            continue
        assert accepted == expected, (name, change, problems)
        agreed += 1
    assert agreed > 0.95 * SAMPLE
