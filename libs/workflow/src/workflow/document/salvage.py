"""Makes a definition of a document that is broken in places, so that the rest can be checked too.

What is broken is removed, or replaced by a task that does nothing; pointers of everything else
stay as they are. A definition made so serves for diagnostics only.
"""

from copy import deepcopy
from typing import Any

from workflow.document.definition import Definition
from workflow.document.source import split
from workflow.document.structure import Problem, read_definition

_ROUNDS_MAX = 4
"""Removing one thing may show that another is missing."""

_HEADER = {"dsl": "1.0.3", "namespace": "unknown", "name": "unknown", "version": "0.0.0"}


def salvage(value: Any, problems: list[Problem]) -> Definition | None:
    """`None` if too little is left."""
    if not isinstance(value, dict):
        return None
    repaired = deepcopy(value)
    for _ in range(_ROUNDS_MAX):
        for problem in problems:
            _repair(repaired, problem)
        definition, problems = read_definition(repaired)
        if definition is not None:
            return definition
    return None


def _repair(document: dict[str, Any], problem: Problem) -> None:
    if problem.is_unknown_property:
        _remove(document, split(problem.pointer))
    elif problem.task_pointer is not None:
        _replace(document, split(problem.task_pointer), {"set": {"": None}})
    else:
        _repair_outside_tasks(document, split(problem.pointer))


def _repair_outside_tasks(document: dict[str, Any], keys: list[str]) -> None:
    match keys:
        case []:
            return
        case ["document", *rest]:
            given = document.get("document")
            if isinstance(given, dict) and rest:
                document["document"] = {**given, **_header_part(rest[0])}
                if rest[0] not in _HEADER:
                    document["document"].pop(rest[0], None)
            else:
                document["document"] = dict(_HEADER)
        case ["do"]:
            document["do"] = []
        case _:
            # A malformed entry of a task list, or something in `use`, `schedule` and so on.
            holder = _at(document, keys[:-1])
            if isinstance(holder, list) and keys[-1].isdigit():
                holder[int(keys[-1])] = {"": {"set": {"": None}}}
            else:
                _remove(document, keys[: 3 if keys[0] == "use" else 1])


def _header_part(name: str) -> dict[str, str]:
    return {name: _HEADER[name]} if name in _HEADER else {}


def _at(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _remove(document: dict[str, Any], keys: list[str]) -> None:
    holder = _at(document, keys[:-1])
    if isinstance(holder, dict):
        holder.pop(keys[-1], None)


def _replace(document: dict[str, Any], keys: list[str], value: Any) -> None:
    holder = _at(document, keys[:-1])
    if isinstance(holder, dict) and keys[-1] in holder:
        holder[keys[-1]] = value
