"""JSON values by jq's rules: kinds, truth, equality, the total order, and their spelling.

Numbers are what Python and orjson carry: integers exactly as written, everything else as doubles.
Where jq would show the difference (huge or exponential numbers turned into text) the evaluation
moves to a worker, which runs jq itself.
"""

import re
from typing import Any, Final, Protocol

import orjson

from workflow.expressions.errors import JqError, NeedsWorker

TYPE_NAMES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
EXACT_MAX: Final = 2**53
"""Up to here doubles and integers agree."""
_LONG: Final = 1024
"""Characters up to which work on a string is not worth counting."""
_SPELLED_NUMBER: Final = re.compile(r"[0-9][eE]|\.[0-9]+0(?![0-9])|-0(?!\.)|[0-9]{16}")
"""Numbers that come back from Python in another spelling; inside strings a false alarm."""


class Budget(Protocol):
    def charge(self, cost: int) -> None:
        """Take `cost` steps off, or raise NeedsWorker when too few are left."""


def type_name(value: Any) -> str:
    return TYPE_NAMES[type(value)]


def truthy(value: Any) -> bool:
    return value is not None and value is not False


def equal(left: Any, right: Any, budget: Budget) -> bool:
    """Python holds `True == 1`, jq does not; otherwise they agree."""
    kind, other = type(left), type(right)
    if kind is str:
        if len(left) > _LONG:
            budget.charge(len(left) >> 10)
        return other is str and bool(left == right)
    if kind is bool or left is None:
        return kind is other and bool(left == right)
    if kind is int or kind is float:
        return (other is int or other is float) and bool(left == right)
    if kind is not other or len(left) != len(right):
        return False
    budget.charge(len(left))
    if kind is list:
        return all(map(equal, left, right, (budget,) * len(left)))
    return all(key in right and equal(left[key], right[key], budget) for key in left)


def sort_key(value: Any, budget: Budget) -> tuple[Any, ...]:
    """A tuple that Python orders as jq orders the value: null, booleans, numbers, strings, …"""
    kind = type(value)
    if kind is str:
        if len(value) > _LONG:
            budget.charge(len(value) >> 6)  # Sorting may compare it many times.
        return (4, value)
    if kind is int or kind is float:
        return (3, value)
    if value is None:
        return (0,)
    if kind is bool:
        return (2,) if value else (1,)
    budget.charge(len(value))
    if kind is list:
        return (5, [sort_key(item, budget) for item in value])
    names = sorted(value)
    return (6, names, [sort_key(value[name], budget) for name in names])


def less(left: Any, right: Any, budget: Budget) -> bool:
    kind, other = type(left), type(right)
    if (kind is int or kind is float) and (other is int or other is float):
        return bool(left < right)
    if kind is str and other is str:
        return bool(left < right)
    return sort_key(left, budget) < sort_key(right, budget)


def to_json(value: Any, budget: Budget) -> str:
    """jq's `tojson`."""
    _check_spelling(value, budget)
    try:
        text = orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        raise NeedsWorker from None
    if "\x7f" in text:  # jq escapes DEL, orjson does not.
        raise NeedsWorker
    return text


def to_text(value: Any, budget: Budget) -> str:
    """jq's `tostring`, and what interpolation writes."""
    return value if type(value) is str else to_json(value, budget)


def from_json(text: Any) -> Any:
    if type(text) is not str:
        raise JqError(f"{type_name(text)} cannot be parsed as JSON: it is not a string")
    if _SPELLED_NUMBER.search(text):
        raise NeedsWorker
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise NeedsWorker from None  # jq accepts a little more than JSON, such as `nan`.


def _check_spelling(value: Any, budget: Budget) -> None:
    kind = type(value)
    if kind is float:
        if "e" in repr(value) or abs(value) >= EXACT_MAX or value == 0:
            raise NeedsWorker
    elif kind is str:
        if len(value) > _LONG:
            budget.charge(len(value) >> 6)
    elif kind is list:
        budget.charge(len(value))
        for item in value:
            _check_spelling(item, budget)
    elif kind is dict:
        budget.charge(len(value))
        for item in value.values():
            _check_spelling(item, budget)


def number(value: float) -> int | float:
    """A computed number: whole ones become integers while both notations agree."""
    if value.is_integer():
        return int(value) if -EXACT_MAX <= value <= EXACT_MAX else value
    if value - value != 0:
        raise NeedsWorker  # Infinite or not a number: JSON cannot carry it, jq has its own ways.
    return value
