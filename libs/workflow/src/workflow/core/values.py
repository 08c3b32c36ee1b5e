"""JSON values of an execution: small ones inline, larger ones by reference."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

Json = Any
"""None, bool, int, float, str, list or dict with str keys: what orjson reads and writes."""

Secrets = frozenset[str] | None
"""The texts of the secrets that a value was made from; None if it was made from none."""

REDACTED: Final = "[redacted]"
"""Stands where something made from secrets would be shown."""

INLINE_BYTES_MAX = 256
"""Values up to this many bytes of JSON live in the snapshot; it must stay small, it is written every turn."""

DEPTH_MAX: Final = 128
"""Messages are read by parsers that stop at 200 levels, and values travel inside of others."""

_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape itself, not a backslash followed by the text `u0000`."""


def why_not_carried(json: Json, raw: bytes) -> str | None:
    """What keeps a value (with its encoding) from being stored and sent; None if nothing does."""
    if b"\\u0000" in raw and _NUL.search(raw):
        return "it contains the character NUL, which cannot be stored"
    # Brackets in texts are counted, too: a false alarm costs a closer look.
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _is_deeper(json, DEPTH_MAX):
        return f"it is nested more than {DEPTH_MAX} levels deep"
    return None


def _is_deeper(json: Json, levels: int) -> bool:
    level = [json]
    for _ in range(levels + 1):
        parents = [each for each in level if isinstance(each, list | dict)]
        if not parents:
            return False
        level = [
            child
            for each in parents
            for child in (each.values() if isinstance(each, dict) else each)
        ]
    return True


def texts_in(json: Json) -> frozenset[str]:
    """Every text and number in a secret: what must not be seen anywhere."""
    found: set[str] = set()
    left = [json]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
        elif isinstance(each, str | int | float) and not isinstance(each, bool):
            found.add(str(each))
    found.discard("")
    return frozenset(found)


def together(first: Secrets, second: Secrets) -> Secrets:
    """What is made from both values is made from the secrets of both."""
    if first is None or second is None:
        return second if first is None else first
    return first | second


@dataclass(frozen=True, slots=True)
class Reference:
    """Names a row of `payloads`, written once, never changed."""

    id: str
    """UUID of the row."""

    size: int
    """Bytes of JSON."""


class Value:
    """A JSON value, its encoding, or a reference to where it is stored; at least one of the three."""

    __slots__ = ("_json", "_known", "_raw", "reference", "secrets")

    def __init__(
        self,
        json: Json = None,
        *,
        known: bool = True,
        raw: bytes | None = None,
        reference: Reference | None = None,
        secrets: Secrets = None,
    ) -> None:
        assert known or reference is not None or raw is not None
        self._json = json
        self._known = known
        self._raw = raw
        self.reference = reference
        self.secrets = secrets
        """Set if it was made from secrets: then it is stored and sent sealed only, and never shown."""

    @classmethod
    def of_reference(cls, reference: Reference) -> Value:
        return cls(known=False, reference=reference)

    @classmethod
    def of_bytes(cls, raw: bytes, secrets: Secrets = None) -> Value:
        return cls(known=False, raw=raw, secrets=secrets)

    @property
    def is_loaded(self) -> bool:
        """Whether `json` can be read without asking the host."""
        return self._known or self._raw is not None

    @property
    def json(self) -> Json:
        if not self._known:
            assert self._raw is not None, "load the value first"
            self._json = orjson.loads(self._raw)
            self._known = True
        return self._json

    @property
    def raw(self) -> bytes:
        if self._raw is None:
            self._raw = orjson.dumps(self._json)
        return self._raw

    def copy(self) -> Value:
        """The same value under a name of its own: a turn may give its copy a reference that is never committed."""
        return Value(
            self._json,
            known=self._known,
            raw=self._raw,
            reference=self.reference,
            secrets=self.secrets,
        )

    def load(self, raw: bytes, secrets: Secrets = None) -> None:
        """Fill in what the reference names."""
        self._raw = raw
        self.secrets = secrets

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        if self.reference is not None and self.reference == other.reference:
            return True
        return self.is_loaded and other.is_loaded and self.raw == other.raw

    __hash__ = None  # type: ignore[assignment]  # mutable cache inside; never a key

    def __repr__(self) -> str:
        if self.secrets is not None:
            return "Value(made from secrets)"
        return f"Value({self.reference!r})" if not self.is_loaded else f"Value({self.raw[:80]!r})"
