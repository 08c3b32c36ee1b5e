"""Goes through every part of a definition, with the JSON pointer of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import RootModel

from workflow.document.data import DataSchema
from workflow.document.definition import Definition, DocumentHeader
from workflow.document.parts import Part, camel_case
from workflow.document.source import join
from workflow.document.tasks import TaskBase


@dataclass(frozen=True, slots=True)
class Visit:
    value: Any
    """A part, a list or map of parts, or a JSON value."""
    pointer: str
    owner: Part | None
    """The part that has the property in which the value is."""
    property: str
    """The name of that property."""
    is_direct: bool = False
    """Whether it is the property's value itself, not something inside of it."""


def walk(definition: Definition) -> Iterator[Visit]:
    """Each value once, what contains it first."""
    return _walk(Visit(definition, "", None, ""))


def is_data(owner: Part | None, name: str) -> bool:
    """Whether a property is kept as it is: nothing in it is an expression or a reference."""
    match owner:
        case DocumentHeader():
            return True
        case DataSchema():
            return name == "document"
        case TaskBase():
            return name == "metadata"
        case _:
            return False


def _walk(visit: Visit) -> Iterator[Visit]:
    yield visit
    match visit.value:
        case RootModel():
            if isinstance(visit.value.root, str):
                return
            inner = Visit(visit.value.root, visit.pointer, visit.owner, visit.property)
            yield from _members(inner) if not isinstance(inner.value, Part) else _walk(inner)
        case Part():
            yield from _properties(visit.value, visit.pointer)
        case _:
            yield from _members(visit)


def _properties(part: Part, pointer: str) -> Iterator[Visit]:
    for name in part.model_fields_set:
        alias = camel_case(name) if name in type(part).model_fields else name
        yield from _walk(Visit(getattr(part, name), join(pointer, alias), part, alias, True))


def _members(visit: Visit) -> Iterator[Visit]:
    match visit.value:
        case Mapping():
            members: Any = visit.value.items()
        case list() | tuple():
            members = enumerate(visit.value)
        case _:
            return
    for key, value in members:
        pointer = join(visit.pointer, key)
        yield from _walk(Visit(value, pointer, visit.owner, visit.property))
