"""`.name`, `.[key]`, `.[from:to]` and `.[]` on values."""

from collections.abc import Iterable
from typing import Any

from workflow.expressions.errors import JqError, NeedsWorker
from workflow.expressions.values import TYPE_NAMES, Budget, type_name


def index(target: Any, key: Any) -> Any:
    kind = type(target)
    wanted = type(key)
    if wanted is str:
        if kind is dict:
            return target.get(key)
        if target is None:
            return None
    elif wanted is int or wanted is float:
        if kind is list:
            return _element(target, key)
        if target is None:
            return None
    elif wanted is dict or (wanted is list and kind is list):
        raise NeedsWorker  # Slices as objects, and the search for sub-arrays.
    named = f'"{key}"' if wanted is str else TYPE_NAMES[wanted]
    raise JqError(f"cannot index {TYPE_NAMES[kind]} with {named}")


def _element(target: list[Any], key: float) -> Any:
    if type(key) is not int:
        if not key.is_integer():
            raise NeedsWorker
        key = int(key)
    return target[key] if -len(target) <= key < len(target) else None


def section(target: Any, start: Any, stop: Any, budget: Budget) -> Any:
    if target is None:
        return None
    if type(target) is not list and type(target) is not str:
        raise JqError(f"cannot take a slice of {type_name(target)}")
    for bound in (start, stop):
        if bound is not None and type(bound) is not int:
            if type(bound) is float:
                raise NeedsWorker
            raise JqError("the bounds of a slice must be numbers")
    part = target[start:stop]
    budget.charge(len(part) if type(part) is list else len(part) >> 6)
    return part


def each(target: Any, budget: Budget) -> Iterable[Any]:
    if type(target) is list:
        budget.charge(len(target))
        return target
    if type(target) is dict:
        budget.charge(len(target))
        return target.values()
    raise JqError(f"cannot iterate over {type_name(target)}")
