"""JSON from outside: bounded, strict, and every refusal names the place.

Accepted text is valid UTF-8 without NUL and lone surrogates, without NaN and infinities, and at most as deep as the
caller allows; PostgreSQL's `jsonb` and every reader further on can hold it. The checks that accept run at the speed
of C. Only a text that is refused is read a second time, slowly, to say where it is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson

from common.errors import InvalidRequest, Violation

VIOLATIONS_MAX = 20
"""A refusal names this many places; whoever sends more wrong ones mends these first."""


def parse_json(raw: bytes, *, depth_max: int) -> Any:
    """The value, or `InvalidRequest` that says what is wrong and where."""
    if not raw:
        raise InvalidRequest("The body is empty: send JSON.", code="invalid_json")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise _refusal(raw, error, depth_max) from None
    # Fewer brackets than levels allowed cannot be too deep; fewer than one NUL escape is none. Nearly every body
    # is accepted by these two counts alone.
    if raw.count(b"{") + raw.count(b"[") > depth_max or b"\\u0000" in raw:
        violations = _first(_violations(value, depth_max))
        if violations:
            raise InvalidRequest(
                "The body contains what cannot be stored.", code="invalid_json", errors=violations
            )
    return value


def pointer_of(path: tuple[str | int, ...]) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join(f"/{_escaped(part)}" for part in path)


def _escaped(part: str | int) -> str:
    text = str(part).replace("~", "~0").replace("/", "~1")
    # A pointer is shown in answers and logs: what cannot be encoded is shown as it would be written.
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\x00", "\\u0000")


def _refusal(raw: bytes, error: orjson.JSONDecodeError, depth_max: int) -> InvalidRequest:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as wrong:
        return InvalidRequest(
            f"The body is not UTF-8: byte {wrong.start} is wrong.", code="invalid_json"
        )
    violations: tuple[Violation, ...] = ()
    try:
        # Reads what the strict parser refuses: NaN, infinities, lone surrogates.
        value = json.loads(text, parse_int=_harmless_int)
        violations = _first(_violations(value, depth_max))
    except RecursionError:
        violations = (Violation("", f"is nested deeper than {depth_max} levels"),)
    except ValueError:
        pass
    if violations:
        return InvalidRequest(
            "The body contains what cannot be stored.", code="invalid_json", errors=violations
        )
    return InvalidRequest(f"The body is not JSON: {error}.", code="invalid_json")


def _harmless_int(digits: str) -> float:
    # `int` refuses thousands of digits with another error, and how large it is matters here only as infinity.
    return float(digits)


def _first(violations: Iterator[Violation]) -> tuple[Violation, ...]:
    return tuple(violation for _, violation in zip(range(VIOLATIONS_MAX), violations, strict=False))


def _violations(root: Any, depth_max: int) -> Iterator[Violation]:
    """Depth first, without recursion: the value may be as deep as it likes."""
    stack: list[tuple[Any, tuple[str | int, ...]]] = [(root, ())]
    while stack:
        value, path = stack.pop()
        if isinstance(value, str):
            yield from _text_violations(value, path)
        elif isinstance(value, float) and value - value != 0:  # NaN and the infinities alone
            yield Violation(pointer_of(path), "must be a finite number")
        elif isinstance(value, dict | list):
            if len(path) >= depth_max:
                yield Violation(pointer_of(path), f"is nested deeper than {depth_max} levels")
                continue
            items = value.items() if isinstance(value, dict) else enumerate(value)
            children = [(child, (*path, key)) for key, child in items]
            if isinstance(value, dict):
                for key in value:
                    yield from _text_violations(key, (*path, key))
            stack.extend(reversed(children))


def _text_violations(text: str, path: tuple[str | int, ...]) -> Iterator[Violation]:
    if "\x00" in text:
        yield Violation(pointer_of(path), "must not contain NUL (\\u0000)")
    elif not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        yield Violation(pointer_of(path), "must not contain a lone surrogate")
