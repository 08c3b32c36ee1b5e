"""What is constant in `with` fits the input schema of the function that is called.

A value with an expression in it is known only when the task is reached; a difference counts here
only if no result of the expressions could mend it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from workflow.document.catalog import DEFAULT_CATALOG, parse_reference
from workflow.document.checks.examined import Examined
from workflow.document.checks.schemas import PATTERNS_MAX, is_json_schema
from workflow.document.diagnostics import Code
from workflow.document.json_schemas import (
    InvalidSchema,
    Validator,
    compile_schema,
    count_patterns,
    violations,
)
from workflow.document.report import DIAGNOSTICS_MAX, Report, did_you_mean
from workflow.document.source import join
from workflow.document.tasks import CallFunctionTask, TaskBase

# These depend on which properties there are or how many entries, never on what is in them.
_CERTAIN = frozenset(
    {"required", "additionalProperties", "unevaluatedProperties", "propertyNames"}
    | {"minProperties", "maxProperties", "dependentRequired", "minItems", "maxItems"}
)

_WORK_MAX = 1_000_000
"""Values of the schema times values of `with`. Larger ones are left to the execution."""


def check(document: Examined, report: Report) -> None:
    takes: dict[str, _Takes | None] = {}
    for pointer, task in document.each(CallFunctionTask):
        if task.call not in takes:
            takes[task.call] = _takes(task.call, document)
        function = takes[task.call]
        if function is not None:
            _check_arguments(task, pointer, function, report)


@dataclass(frozen=True, slots=True)
class _Takes:
    """What a function takes."""

    properties: tuple[str, ...]
    validator: Validator
    size: int


def _takes(call: str, document: Examined) -> _Takes | None:
    schema = _input_schema(call, document)
    if schema is None or _has_references(schema):
        return None
    try:
        properties = schema.get("properties") if isinstance(schema, Mapping) else None
        known = tuple(properties) if isinstance(properties, Mapping) else ()
        compiled = compile_schema(dict(schema) if isinstance(schema, Mapping) else schema)
        return _Takes(known, compiled, _size(schema))
    except InvalidSchema:
        return None  # told where the schema is


def _has_references(schema: Any) -> bool:
    """References may lead in circles, and the time to check such a schema is not bounded."""
    match schema:
        case Mapping():
            return any(
                key in {"$ref", "$dynamicRef", "$recursiveRef"} or _has_references(member)
                for key, member in schema.items()
            )
        case list():
            return any(map(_has_references, schema))
        case _:
            return False


def _size(value: Any) -> int:
    match value:
        case Mapping():
            return 1 + sum(map(_size, value.values()))
        case list():
            return 1 + sum(map(_size, value))
        case _:
            return 1


def _input_schema(call: str, document: Examined) -> Any:
    use = document.definition.use
    declared = (use.functions if use else None) or {}
    if call in declared:
        return _declared_schema(declared[call])
    reference = parse_reference(call)
    if reference is None or reference.catalog != DEFAULT_CATALOG:
        return None
    spec = document.functions.find(reference.name, reference.version)
    return spec.input_schema if spec else None


def _declared_schema(function: TaskBase) -> Any:
    schema = function.input.schema_ if function.input else None
    if (
        schema is None
        or not is_json_schema(schema)
        or count_patterns(schema.document) > PATTERNS_MAX
    ):
        return None
    return schema.document


def _check_arguments(
    task: CallFunctionTask, pointer: str, function: _Takes, report: Report
) -> None:
    if function.size * _size(task.with_) > _WORK_MAX:
        return
    place = join(pointer, "with") if task.with_ is not None else pointer
    for error in islice(violations(function.validator, task.with_ or {}), DIAGNOSTICS_MAX):
        if _is_certain(error):
            _tell(error, place, task.call, function.properties, report)


def _is_certain(error: Any) -> bool:
    keyword = error.kind.name
    if keyword in _CERTAIN or not has_expression(error.instance) or _refusal(error):
        return True
    branches = getattr(error.kind, "context", None)
    if not branches or keyword not in {"anyOf", "oneOf"}:
        return False
    return all(any(_is_certain(inner) for inner in branch) for branch in branches)


def has_expression(value: Any) -> bool:
    match value:
        case str():
            return "${" in value
        case dict():
            return any(has_expression(member) for member in value.values())
        case list():
            return any(has_expression(item) for item in value)
        case _:
            return False


def _tell(error: Any, place: str, call: str, known: tuple[str, ...], report: Report) -> None:
    inside = join(place, *error.instance_path)
    if error.kind.name == "additionalProperties" and not error.instance_path:
        for name in error.instance:
            if name not in known:
                message = f"`{call}` takes no argument `{name}`"
                advice = partial(did_you_mean, name, known)
                report.error(Code.ARGUMENTS, join(inside, name), message, advice, of_key=True)
        return
    if refusal := _refusal(error):
        report.error(Code.ARGUMENTS, inside, f"`{call}` does not take this", refusal)
        return
    alternatives = " or ".join(_alternatives(error))
    message = f"give exactly one of {alternatives}" if alternatives else error.message[:300]
    report.error(Code.ARGUMENTS, inside, f"`{call}` does not take this: {message}")


def _refusal(error: Any) -> str:
    """What to do instead of giving a property that is never taken; see `catalog`."""
    never = error.kind.schema if error.kind.name == "not" else None
    if isinstance(never, dict) and set(never) == {"description"}:
        return str(never["description"])
    return ""


def _alternatives(error: Any) -> Iterator[str]:
    """The properties of which one is needed, where that is what the schema asks for."""
    if error.kind.name != "oneOf" or not isinstance(error.instance, dict):
        return
    for branch in getattr(error.kind, "context", None) or []:
        yield from (f"`{inner.kind.property}`" for inner in branch if inner.kind.name == "required")
