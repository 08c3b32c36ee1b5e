"""The language's own examples: all are read, round-tripped, and valid where all is executed."""

from pathlib import Path

import jsonschema_rs

from workflow.document import (
    Code,
    Construct,
    Definition,
    canonical_json,
    has_errors,
    load_document,
    validate,
)

EXAMPLES = 68


def test_every_example_is_read_and_given_back(language_folder: Path) -> None:
    paths = sorted((language_folder / "examples").glob("*.yaml"))
    assert len(paths) >= EXAMPLES
    for path in paths:
        loaded = load_document(path.read_bytes())
        definition = Definition.model_validate(loaded.value)
        assert definition.content() == loaded.value, path.name
        again = load_document(canonical_json(definition.content()), "application/json")
        assert again.fingerprint == loaded.fingerprint, path.name


def test_every_example_is_valid_where_everything_is_executed(language_folder: Path) -> None:
    for path in sorted((language_folder / "examples").glob("*.yaml")):
        loaded = load_document(path.read_bytes())
        found = validate(loaded, executable=frozenset(Construct))
        assert not has_errors(found), [path.name, *map(str, found)]


def test_examples_are_refused_for_what_is_not_executed_and_nothing_else(
    language_folder: Path,
) -> None:
    for path in sorted((language_folder / "examples").glob("*.yaml")):
        found = validate(load_document(path.read_bytes()))
        assert {diagnostic.code for diagnostic in found} <= {Code.UNSUPPORTED, Code.UNUSED}


def test_the_schema_of_the_models_describes_the_examples(language_folder: Path) -> None:
    """It is what the API's own description shows."""
    schema = jsonschema_rs.validator_for(Definition.model_json_schema(by_alias=True))
    for path in sorted((language_folder / "examples").glob("*.yaml")):
        assert schema.is_valid(load_document(path.read_bytes()).value), path.name
