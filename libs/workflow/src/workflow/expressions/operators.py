"""Arithmetic and comparison on values."""

import math
from collections.abc import Callable
from typing import Any, Final

from workflow.expressions.errors import JqError, NeedsWorker
from workflow.expressions.values import EXACT_MAX, Budget, equal, less, number, type_name

_NUMBERS: Final = (int, float)


def add(left: Any, right: Any, budget: Budget) -> Any:
    kind = type(left)
    if kind is int and type(right) is int:
        result: int = left + right
        return result if -EXACT_MAX <= result <= EXACT_MAX else number(float(left) + float(right))
    if kind in _NUMBERS and type(right) in _NUMBERS:
        return number(float(left) + float(right))
    if left is None:
        return right
    if right is None:
        return left
    if kind is type(right):
        if kind is str:
            budget.charge((len(left) + len(right)) >> 6)
            return left + right
        if kind is list:
            budget.charge(len(left) + len(right))
            return left + right
        if kind is dict:
            budget.charge(len(left) + len(right))
            return {**left, **right}
    raise _mismatch(left, right, "added")


def subtract(left: Any, right: Any, budget: Budget) -> Any:
    kind = type(left)
    if kind is int and type(right) is int:
        result: int = left - right
        return result if -EXACT_MAX <= result <= EXACT_MAX else number(float(left) - float(right))
    if kind in _NUMBERS and type(right) in _NUMBERS:
        return number(float(left) - float(right))
    if kind is list and type(right) is list:
        budget.charge(len(left) * len(right))
        return [item for item in left if not any(equal(item, gone, budget) for gone in right)]
    raise _mismatch(left, right, "subtracted")


def multiply(left: Any, right: Any, budget: Budget) -> Any:
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        result = left * right
        if result == 0 and (left < 0 or right < 0):
            raise NeedsWorker  # jq has a negative zero, and may write it.
        if type(result) is int and -EXACT_MAX <= result <= EXACT_MAX:
            return result
        return number(float(left) * float(right))
    if type(left) is dict and type(right) is dict:
        return _merged(left, right, budget)
    if {type(left), type(right)} <= {str, int, float}:
        raise NeedsWorker  # Repeats a string.
    raise _mismatch(left, right, "multiplied")


def divide(left: Any, right: Any, budget: Budget) -> Any:
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        if right == 0:
            raise JqError("cannot divide by zero")
        if left == 0 and right < 0:
            raise NeedsWorker
        return number(float(left) / float(right))
    if type(left) is str and type(right) is str:
        return split(left, right, budget)
    raise _mismatch(left, right, "divided")


def remainder(left: Any, right: Any, budget: Budget) -> Any:
    del budget
    if type(left) not in _NUMBERS or type(right) not in _NUMBERS:
        raise _mismatch(left, right, "divided")
    if abs(left) > EXACT_MAX or abs(right) > EXACT_MAX:
        raise NeedsWorker
    divisor = int(right)
    if divisor == 0:
        raise JqError("cannot take a remainder: the divisor is zero")
    return int(math.fmod(int(left), divisor))


def negate(value: Any) -> Any:
    if type(value) is int:
        return -value
    if type(value) is float:
        return -value
    raise JqError(f"{type_name(value)} cannot be negated")


def split(text: str, separator: str, budget: Budget) -> list[str]:
    if not text:
        return []
    parts = text.split(separator) if separator else list(text)
    budget.charge(len(parts) + (len(text) >> 6))
    return parts


def _merged(left: dict[str, Any], right: dict[str, Any], budget: Budget) -> dict[str, Any]:
    budget.charge(len(left) + len(right))
    merged = dict(left)
    for name, value in right.items():
        before = merged.get(name)
        if type(before) is dict and type(value) is dict:
            merged[name] = _merged(before, value, budget)
        else:
            merged[name] = value
    return merged


def _mismatch(left: Any, right: Any, done: str) -> JqError:
    return JqError(f"{type_name(left)} and {type_name(right)} cannot be {done}")


Operation = Callable[[Any, Any, Budget], Any]

OPERATIONS: Final[dict[str, Operation]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
    "==": equal,
    "!=": lambda left, right, budget: not equal(left, right, budget),
    "<": less,
    ">": lambda left, right, budget: less(right, left, budget),
    "<=": lambda left, right, budget: not less(right, left, budget),
    ">=": lambda left, right, budget: not less(left, right, budget),
}
