"""What is constant in `with` fits the input schema of the function that is called.

A value with an expression in it is known only when the task is reached; a difference counts here
only if no result of the expressions could mend it.
"""

from collections.abc import Iterator
from typing import Any

from workflow.document.catalog import DEFAULT_CATALOG, parse_reference
from workflow.document.checks.examined import Examined
from workflow.document.checks.schemas import is_json_schema
from workflow.document.diagnostics import Code
from workflow.document.json_schemas import InvalidSchema, compile_schema, violations
from workflow.document.report import Report, did_you_mean
from workflow.document.source import join
from workflow.document.tasks import CallFunctionTask, TaskBase

# These depend on which properties there are or how many entries, never on what is in them.
_CERTAIN = frozenset(
    {"required", "additionalProperties", "unevaluatedProperties", "propertyNames"}
    | {"minProperties", "maxProperties", "dependentRequired", "minItems", "maxItems"}
)


def check(document: Examined, report: Report) -> None:
    for pointer, task in document.each(CallFunctionTask):
        schema = _input_schema(task.call, document)
        if schema is not None:
            _check_arguments(task, pointer, schema, report)


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
    if schema is None or not is_json_schema(schema):
        return None
    return schema.document if "document" in schema.model_fields_set else None


def _check_arguments(task: CallFunctionTask, pointer: str, schema: Any, report: Report) -> None:
    try:
        validator = compile_schema(dict(schema) if not isinstance(schema, bool) else schema)
    except InvalidSchema:
        return  # told where the schema is
    values = task.with_ or {}
    place = join(pointer, "with") if task.with_ is not None else pointer
    for error in violations(validator, values):
        if _is_certain(error):
            _tell(error, place, task.call, schema, report)


def _is_certain(error: Any) -> bool:
    keyword = error.kind.name
    if keyword in _CERTAIN or not has_expression(error.instance):
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


def _tell(error: Any, place: str, call: str, schema: Any, report: Report) -> None:
    inside = join(place, *error.instance_path)
    if error.kind.name == "additionalProperties" and not error.instance_path:
        known = list(schema.get("properties", {}))
        for name in error.instance:
            if name not in known:
                message = f"`{call}` takes no argument `{name}`"
                advice = did_you_mean(name, known)
                report.error(Code.ARGUMENTS, join(inside, name), message, advice, of_key=True)
        return
    alternatives = " or ".join(_alternatives(error))
    message = f"give exactly one of {alternatives}" if alternatives else error.message[:300]
    report.error(Code.ARGUMENTS, inside, f"`{call}` does not take this: {message}")


def _alternatives(error: Any) -> Iterator[str]:
    """The properties of which one is needed, where that is what the schema asks for."""
    if error.kind.name != "oneOf" or not isinstance(error.instance, dict):
        return
    for branch in getattr(error.kind, "context", None) or []:
        yield from (f"`{inner.kind.property}`" for inner in branch if inner.kind.name == "required")
