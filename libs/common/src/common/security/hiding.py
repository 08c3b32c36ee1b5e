"""Finding secrets in texts, in the forms in which they travel: as they are, in JSON, in URLs, in hexadecimal, in base64.

In base64 a text looks different at each of the three places where it may begin within a group of bytes; all three are looked
for, so that `user:secret` is found, too.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

LENGTH_MIN: Final = 4
"""Shorter secrets would be found everywhere."""

REDACTED: Final = "[redacted]"


class Hiding:
    """Keeps some texts out of others. Texts may be added as they become known."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._forms: tuple[str, ...] = ()
        self.add(secrets)

    @property
    def secrets(self) -> frozenset[str]:
        return frozenset(self._secrets)

    def add(self, secrets: Iterable[str]) -> None:
        self._secrets.update(secrets)
        forms = {
            form for secret in self._secrets for form in forms_of(secret) if len(form) >= LENGTH_MIN
        }
        # The longest first, so that no part of a form is left over.
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def is_in(self, raw: bytes) -> bool:
        """Whether encoded JSON has any of the texts in it."""
        if not self._forms:
            return False
        text = raw.decode(errors="replace")
        return any(form in text for form in self._forms)

    def text(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, REDACTED)
        return text

    def json(self, value: Any) -> Any:
        """The value with every text cleaned, names of properties too."""
        if not self._forms:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(name)): self.json(each) for name, each in value.items()}
            case list() | tuple():
                return [self.json(each) for each in value]
            case int() | float() if not isinstance(value, bool) and self.text(str(value)) != str(
                value
            ):
                return REDACTED
            case _:
                return value


def forms_of(secret: str) -> Iterator[str]:
    """Every form in which a secret is looked for."""
    raw = secret.encode(errors="surrogatepass")
    yield secret
    escaped = orjson.dumps(secret.encode(errors="replace").decode()).decode()[1:-1]
    yield escaped
    yield escaped.replace("/", "\\/")
    yield from (quote(raw, safe=""), quote(raw), quote_plus(raw))
    yield from (raw.hex(), raw.hex().upper())
    for offset in range(3):
        yield from _base64(raw, offset)


def _base64(raw: bytes, offset: int) -> Iterator[str]:
    """What is the same in base64 whatever comes before and after, `offset` bytes into a group."""
    whole = base64.b64encode(bytes(offset) + raw).decode()
    first = -(-offset * 4 // 3)
    last = (offset + len(raw)) * 8 // 6
    kept = whole[first:last]
    yield kept
    yield kept.replace("+", "-").replace("/", "_")
    yield quote(kept, safe="")
