"""jq's functions on numbers, strings and types. Each takes the value, its argument, the frame."""

import math
import re
from collections.abc import Callable
from typing import Any, Final

from workflow.expressions import operators
from workflow.expressions.errors import JqError, NeedsWorker
from workflow.expressions.frame import Frame
from workflow.expressions.values import (
    EXACT_MAX,
    from_json,
    number,
    to_json,
    to_text,
    truthy,
    type_name,
)

_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?")
_BLANKS: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What jq trims; Python's own notion has a few more."""


def length(value: Any, _frame: Frame) -> Any:
    kind = type(value)
    if kind is str or kind is list or kind is dict:
        return len(value)
    if value is None:
        return 0
    if kind is bool:
        raise JqError("boolean has no length")
    return abs(value)


def utf8bytelength(value: Any, frame: Frame) -> int:
    text = _string(value, "has no UTF-8 byte length")
    frame.charge(len(text) >> 6)
    return len(text.encode())


def negation(value: Any, _frame: Frame) -> bool:
    return not truthy(value)


def kind_of(value: Any, _frame: Frame) -> str:
    return type_name(value)


def text(value: Any, frame: Frame) -> str:
    return to_text(value, frame)


def json_text(value: Any, frame: Frame) -> str:
    return to_json(value, frame)


def parsed(value: Any, frame: Frame) -> Any:
    if type(value) is str:
        frame.charge(len(value) >> 3)
    return from_json(value)


def parsed_number(value: Any, _frame: Frame) -> Any:
    if type(value) in (int, float):
        return value
    source = _string(value, "cannot be parsed as a number")
    if not _PLAIN_NUMBER.fullmatch(source):
        if len(source) < 64 and any(character.isdigit() for character in source):
            raise NeedsWorker  # Perhaps `1e3` or `.5`, which jq reads and spells in its own way.
        if source.lower().lstrip("+-") in ("nan", "infinity", "inf"):
            raise NeedsWorker
        raise JqError("the string cannot be parsed as a number")
    result: int | float = float(source) if "." in source else int(source)
    if repr(result) != source:
        raise NeedsWorker
    return result


def downcase(value: Any, frame: Frame) -> str:
    source = _string(value, "cannot be put in lower case")
    frame.charge(len(source) >> 4)
    return source.lower() if source.isascii() else source.translate(_LOWER)


def upcase(value: Any, frame: Frame) -> str:
    source = _string(value, "cannot be put in upper case")
    frame.charge(len(source) >> 4)
    return source.upper() if source.isascii() else source.translate(_UPPER)


def trim(value: Any, _frame: Frame) -> str:
    return _string(value, "cannot be trimmed").strip(_BLANKS)


def ltrim(value: Any, _frame: Frame) -> str:
    return _string(value, "cannot be trimmed").lstrip(_BLANKS)


def rtrim(value: Any, _frame: Frame) -> str:
    return _string(value, "cannot be trimmed").rstrip(_BLANKS)


def startswith(value: Any, prefix: Any, _frame: Frame) -> bool:
    return _both(value, prefix, "startswith")[0].startswith(prefix)


def endswith(value: Any, suffix: Any, _frame: Frame) -> bool:
    return _both(value, suffix, "endswith")[0].endswith(suffix)


def ltrimstr(value: Any, prefix: Any, frame: Frame) -> str:
    source, prefix = _both(value, prefix, "ltrimstr")
    frame.charge(len(source) >> 6)
    return source.removeprefix(prefix)


def rtrimstr(value: Any, suffix: Any, frame: Frame) -> str:
    source, suffix = _both(value, suffix, "rtrimstr")
    frame.charge(len(source) >> 6)
    return source.removesuffix(suffix)


def trimstr(value: Any, around: Any, frame: Frame) -> str:
    return rtrimstr(ltrimstr(value, around, frame), around, frame)


def split(value: Any, separator: Any, frame: Frame) -> list[str]:
    source, separator = _both(value, separator, "split")
    return operators.split(source, separator, frame)


def absolute(value: Any, _frame: Frame) -> Any:
    kind = type(value)
    if kind is int or kind is float:
        return abs(value)
    if value is None or kind is bool:
        raise JqError(f"{type_name(value)} has no absolute value")
    return value


def rounded(function: Callable[[float], float]) -> Callable[[Any, Frame], Any]:
    """A function from number to number."""

    def run(value: Any, _frame: Frame) -> Any:
        kind = type(value)
        if kind is int and -EXACT_MAX <= value <= EXACT_MAX:
            return function(value)
        if kind is not int and kind is not float:
            raise JqError(f"number required, and this is {type_name(value)}")
        if abs(value) > EXACT_MAX:
            raise NeedsWorker
        result = function(value)
        if result == 0 and math.copysign(1, value) < 0:
            raise NeedsWorker  # A negative zero, which jq may write.
        return number(float(result))

    return run


def half_away(value: float) -> float:
    """C's `round`."""
    return math.copysign(math.floor(abs(value) + 0.5), value) if value % 1 else value


def square_root(value: Any, _frame: Frame) -> Any:
    if type(value) not in (int, float):
        raise JqError(f"number required, and this is {type_name(value)}")
    if value < 0:
        raise NeedsWorker
    return number(math.sqrt(value))


def _string(value: Any, otherwise: str) -> str:
    if type(value) is not str:
        raise JqError(f"{type_name(value)} {otherwise}: it is not a string")
    return value


def _both(value: Any, argument: Any, function: str) -> tuple[str, str]:
    if type(value) is not str or type(argument) is not str:
        raise JqError(f"{function} takes strings, not {type_name(value)} and {type_name(argument)}")
    return value, argument
