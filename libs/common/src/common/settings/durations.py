"""Durations as operators write them: `15m`, `1h30m`, `500ms`, ISO 8601, or plain seconds."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = r"\d+(?:\.\d+)?\s*(?:ms|s|m|h|d|w)"
_COMPOUND = re.compile(rf"{_PART}(?:\s*{_PART})*", re.ASCII)
_SINGLE = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_SECONDS = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_ISO_8601 = TypeAdapter(timedelta)

_ADVICE = "should be a duration such as 500ms, 30s, 15m, 24h, PT15M, or a number of seconds"


def parse_duration(text: str) -> timedelta:
    """Raise `ValueError` for anything but a non-negative duration. The text is not repeated in it."""
    compact = text.strip()
    try:
        if _SECONDS.fullmatch(compact):
            return timedelta(seconds=float(compact))
        if _COMPOUND.fullmatch(compact.lower()):
            parts = _SINGLE.findall(compact.lower())
            return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta())
        if compact[:1].upper() == "P":
            return _ISO_8601.validate_python(compact.upper())
    except (OverflowError, ValidationError):
        pass
    raise ValueError(_ADVICE)


def format_duration(duration: timedelta) -> str:
    """The shortest way to write it that `parse_duration` reads back."""
    milliseconds = duration // timedelta(milliseconds=1)
    for unit in ("w", "d", "h", "m", "s"):
        size = _UNITS[unit] // timedelta(milliseconds=1)
        # `24h` reads better than `1d`, and is how these settings are known.
        if (
            milliseconds % size == 0
            and milliseconds >= size
            and (unit, milliseconds) != ("d", size)
        ):
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _validate(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta) and value < timedelta():
        raise ValueError(_ADVICE)
    return value


Duration = Annotated[timedelta, BeforeValidator(_validate)]
