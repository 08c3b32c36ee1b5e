"""Cursors: where the next page begins, as text that clients pass back and do not read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import orjson

from common.errors import InvalidRequest, Violation

CURSOR_CHARACTERS_MAX = 512


def encode_cursor(kind: str, position: Sequence[str | int]) -> str:
    """`kind` is the list it belongs to: a cursor of another list is refused, not misread."""
    raw = orjson.dumps([kind, *position])
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode_cursor(kind: str, cursor: str, *, types: Sequence[type[str | int]]) -> list[str | int]:
    """The position, or `InvalidRequest`. `types` are those of its parts, in order."""
    try:
        if len(cursor) > CURSOR_CHARACTERS_MAX:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        parts = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not isinstance(parts, list) or parts[:1] != [kind]:
            raise ValueError
        position: list[str | int] = parts[1:]
        if [type(part) for part in position] != list(types):
            raise ValueError
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            "The cursor is not one of this list's. Take `nextCursor` of the page before, or begin without one.",
            code="invalid_parameter",
            errors=[Violation("cursor", "is not a cursor of this list")],
        ) from None
    return position
