"""From a JSON value to the models: what does not fit, in words of the language.

pydantic finds the problems; this module words them. The location it gives holds tags of unions
(they begin with NUL), which tell the part of the language that was expected at that place.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, Tag, ValidationError
from pydantic_core import ErrorDetails

from workflow.document.definition import Definition
from workflow.document.diagnostics import Code
from workflow.document.parts import EXPRESSION_PATTERN, TAG, Part, camel_case
from workflow.document.report import DIAGNOSTICS_MAX, Report, did_you_mean
from workflow.document.source import join

Location = tuple[str | int, ...]

PROBLEMS_MAX = DIAGNOSTICS_MAX
"""Later ones are not told, so the document is not examined further either."""


@dataclass(frozen=True, slots=True)
class Problem:
    location: Location
    kind: str
    """pydantic's name of the error, or ours."""
    message: str
    advice: str | None = None

    @property
    def pointer(self) -> str:
        return join("", *(key for key in self.location if not _is_tag(key)))

    @property
    def is_unknown_property(self) -> bool:
        return self.kind == "extra_forbidden"

    @property
    def task_pointer(self) -> str | None:
        """The innermost task that has the problem, or is it."""
        if self.kind in {"task_kind", "task_shape", "call_name"}:
            return self.pointer
        for end in range(len(self.location) - 1, -1, -1):
            if _is_tag(self.location[end]) and str(self.location[end]).endswith("Task"):
                return join("", *(key for key in self.location[:end] if not _is_tag(key)))
        return None

    def tell(self, report: Report) -> None:
        code = _CODES.get(self.kind, Code.STRUCTURE)
        report.error(code, self.pointer, self.message, self.advice, of_key=self.is_unknown_property)


_CODES = {"duration": Code.DURATION, "uri_template": Code.URI}


def read_definition(value: Any) -> tuple[Definition | None, list[Problem]]:
    """The definition, or everything that keeps the value from being one."""
    try:
        return Definition.model_validate(value), []
    except ValidationError as error:
        details = error.errors(include_url=False)[:PROBLEMS_MAX]
        return None, _without_echoes([_problem(detail) for detail in details])


def _without_echoes(problems: list[Problem]) -> list[Problem]:
    """pydantic calls a list too short when its only entry is wrong: keep what is wrong with it."""
    pointers = [problem.pointer for problem in problems]
    return [
        problem
        for problem in problems
        if problem.kind != "too_short"
        or not any(pointer.startswith(f"{problem.pointer}/") for pointer in pointers)
    ]


def _is_tag(key: str | int) -> bool:
    return isinstance(key, str) and key.startswith(TAG)


def _problem(detail: ErrorDetails) -> Problem:
    location, kind = detail["loc"], detail["type"]
    message, advice = _words(kind, location, detail)
    return Problem(location, kind, message, advice)


def _words(kind: str, location: Location, detail: ErrorDetails) -> tuple[str, str | None]:
    context = detail.get("ctx", {})
    match kind:
        case "missing":
            return f"the property `{location[-1]}` is missing", _example(location)
        case "extra_forbidden":
            known = _properties(location[:-1])
            advice = did_you_mean(str(location[-1]), known) or _declares_nothing(known)
            return f"`{location[-1]}` is not a property that belongs here", advice
        case "literal_error":
            advice = did_you_mean(str(detail["input"]), _choices(location))
            return f"{_shown(detail['input'])} is not one of the values allowed here", advice
        case "null_value":
            return detail["msg"], "Leave the property out, or give it a value."
        case "task_kind":
            return detail["msg"], _task_advice(detail["input"])
        case "too_short" if "actual_length" in context:
            return "at least one entry is expected here", None
        case "too_long" if "actual_length" in context:
            return _one_key(detail["input"])
        case "string_too_short":
            return "the text must not be empty", None
        case "string_pattern_mismatch" if context.get("pattern") != EXPRESSION_PATTERN:
            return f"{_shown(detail['input'])} does not have the form expected here", None
        case "string_pattern_mismatch":
            return "an expression is expected here", "Put it in ${ }."
        case "greater_than_equal" | "less_than_equal":
            bounds = {"ge": "at least", "le": "at most"}
            words = [f"{bounds[key]} {context[key]}" for key in bounds if key in context]
            return f"the number must be {' and '.join(words)}", None
    expected = _EXPECTED.get(kind)
    if expected is None:
        return detail["msg"], _ADVICE.get(kind)
    return f"{expected} is expected here, not {_kind_of(detail['input'])}", _quote(detail)


_EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "tuple_type": "a list",
    "list_type": "a list",
}

_ADVICE = {
    "inline_items": "Write `in: '${ [1, 2, 3] }'`.",
    "uri_template": "Write a URI such as https://example.com/pets/{id}, or an expression in ${ }.",
    "duration": "Write {minutes: 5}, PT5M, or an expression in ${ }.",
    "whole_number": "Write it without quotes and without a fraction.",
}


def _kind_of(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case _:
            return "a list"


def _shown(value: Any) -> str:
    return f"`{value}`" if isinstance(value, str) and len(value) <= 60 else _kind_of(value)


def _quote(detail: ErrorDetails) -> str | None:
    value = detail["input"]
    if detail["type"] == "string_type" and isinstance(value, bool | int | float):
        shown = str(value).lower() if isinstance(value, bool) else value
        return f"Put it in quotes: '{shown}'."
    return None


def _one_key(value: Any) -> tuple[str, str]:
    names = ", ".join(str(name) for name in list(value)[:5]) if isinstance(value, Mapping) else ""
    return (
        f"an entry of this list has exactly one key, its name; this one has {names}",
        "Indent the properties below the name, or put a `-` before each name.",
    )


def _task_advice(task: Any) -> str | None:
    if not isinstance(task, Mapping) or not task:
        return None
    from workflow.document.tasks import TASK_KINDS, kinds_in

    if kinds_in(task):
        return "Put each into a task of its own."
    return next((advice for key in task if (advice := _near_kind(str(key), TASK_KINDS))), None)


def _near_kind(key: str, kinds: tuple[str, ...]) -> str | None:
    advice = did_you_mean(key, kinds)
    return advice if advice and advice.startswith("Did") else None


def _example(location: Location) -> str | None:
    return _EXAMPLES.get(str(location[-1]))


_EXAMPLES = {
    "document": "Begin with `document: {dsl: '1.0.3', namespace: …, name: …, version: '1.0.0'}`.",
    "dsl": "Add `dsl: '1.0.3'`.",
    "namespace": "Add a namespace such as `namespace: support`.",
    "version": "Add a version such as `version: '1.0.0'`.",
    "do": "Add the tasks as a list: `do: [{first: {set: {…}}}]`.",
    "catch": "Say which errors to catch; `catch: {}` catches all.",
}


def _declares_nothing(known: list[str]) -> str | None:
    return "Remove it; free data belongs into `metadata`." if "metadata" in known else None


# The part of the language at a location, to name what would have been allowed there.


def _properties(location: Location) -> list[str]:
    for annotation in _follow(location):
        if isinstance(annotation, type) and issubclass(annotation, Part):
            return [camel_case(name) for name in annotation.model_fields]
    return []


def _choices(location: Location) -> list[str]:
    return [
        choice
        for annotation in _follow(location)
        for choice in get_args(annotation)
        if isinstance(choice, str)
    ]


def _follow(location: Location) -> Iterator[Any]:
    annotations: list[Any] = [Definition]
    for key in location:
        annotations = [
            found for annotation in annotations for found in _member(_bare(annotation), key)
        ]
    return (bare for annotation in annotations for bare in _unpacked(_bare(annotation)))


def _unpacked(annotation: Any) -> list[Any]:
    if _is_union(annotation):
        return [bare for part in get_args(annotation) for bare in _unpacked(_bare(part))]
    return [annotation]


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, RootModel):
        return _bare(annotation.model_fields["root"].annotation)
    return annotation


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, types.UnionType}


def _member(annotation: Any, key: str | int) -> Iterator[Any]:
    if _is_union(annotation):
        for part in get_args(annotation):
            if not _is_tag(key):
                yield from _member(_bare(part), key)
            elif _has_tag(part, str(key)):
                yield part
            elif _is_union(_bare(part)):
                yield from _member(_bare(part), key)
    elif _is_tag(key):
        yield annotation
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        yield from (field.annotation for name, field in fields if camel_case(name) == key)
    elif get_origin(annotation) in {tuple, dict, list}:
        yield get_args(annotation)[1 if get_origin(annotation) is dict else 0]


def _has_tag(annotation: Any, tag: str) -> bool:
    if get_origin(annotation) is not Annotated:
        return False
    return any(isinstance(mark, Tag) and mark.tag == tag for mark in get_args(annotation)[1:])
