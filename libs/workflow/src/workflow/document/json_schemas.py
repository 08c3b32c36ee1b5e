"""JSON Schemas inside documents: compiled without any I/O, with linear-time patterns."""

from collections.abc import Iterator
from typing import Any, NoReturn

import jsonschema_rs

from workflow.document.schema_cost import Unbounded, refuse_unbounded
from workflow.document.source import join

Validator = Any
"""A compiled schema; has `validate`, `is_valid` and `iter_errors`."""


PATTERN_BYTES_MAX = 1_000_000
"""Of one compiled pattern. Compiling a larger one would take too long."""


class InvalidSchema(ValueError):
    """Not a JSON Schema we can use. `pointer` leads to the place inside the schema, if known."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.pointer = pointer


def _refuse_remote(uri: str) -> NoReturn:
    raise LookupError(f"{uri} is outside the document")


def compile_schema(schema: Any) -> Validator:
    """Raises `InvalidSchema`. References must stay inside the schema: nothing is fetched."""
    if not isinstance(schema, dict | bool):
        raise InvalidSchema("a JSON Schema is an object, or true or false")
    try:
        refuse_unbounded(schema)
    except Unbounded as error:
        raise InvalidSchema(str(error)) from error
    try:
        return jsonschema_rs.validator_for(
            schema,
            retriever=_refuse_remote,
            # Backtracking patterns could stall a turn, so there is neither look-around nor
            # back-reference.
            pattern_options=jsonschema_rs.RegexOptions(size_limit=PATTERN_BYTES_MAX),
        )
    except jsonschema_rs.ValidationError as error:
        raise InvalidSchema(error.message[:300], join("", *error.instance_path)) from error
    except (jsonschema_rs.ReferencingError, ValueError) as error:
        raise InvalidSchema(str(error)[:300]) from error


def violations(schema: Validator, value: Any) -> Iterator[Any]:
    """Every place where the value differs, as jsonschema-rs errors."""
    return iter(schema.iter_errors(value))


def count_patterns(schema: Any) -> int:
    """How many regular expressions a schema has. They are what is costly to compile."""
    match schema:
        case dict():
            named = schema.get("patternProperties")
            own = int("pattern" in schema) + (len(named) if isinstance(named, dict) else 0)
            return own + sum(count_patterns(member) for member in schema.values())
        case list():
            return sum(count_patterns(item) for item in schema)
        case _:
            return 0
