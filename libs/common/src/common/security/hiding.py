"""Finding secrets in texts, in the forms in which they travel: as they are, in hexadecimal, in base64, and each of these
escaped for JSON, for URLs or for HTML, wholly or in part.

In base64 a text looks different at each of the three places where it may begin within a group of bytes; all three are looked
for, so that `user:secret` is found, too.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

LENGTH_MIN: Final = 4
"""Shorter secrets would be found everywhere."""

PATTERN_LENGTH_MAX: Final = 1024
"""Longer ones are looked for as wholes: a pattern with every way to escape each letter would be too large."""

REDACTED: Final = "[redacted]"

_NAMED_ESCAPES: Final = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r"}


class Hiding:
    """Keeps some texts out of others. Texts may be added as they become known."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    @property
    def secrets(self) -> frozenset[str]:
        return self._secrets

    def add(self, secrets: Iterable[str]) -> None:
        known = self._secrets.union(secrets)
        if known != self._secrets:
            self._secrets, self._pattern = known, _pattern_of(known)

    def is_in(self, raw: bytes) -> bool:
        """Whether encoded JSON has any of the texts in it."""
        pattern = self._pattern
        return pattern is not None and pattern.search(raw.decode(errors="replace")) is not None

    def text(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(REDACTED, text)

    def json(self, value: Any) -> Any:
        """The value with every text cleaned, names of properties too."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(str(name)): self.json(each) for name, each in value.items()}
            case list() | tuple():
                return [self.json(each) for each in value]
            case bool():
                return value
            case int() | float():
                return value if self._pattern.search(str(value)) is None else REDACTED
            case _:
                return value


def _pattern_of(secrets: Iterable[str]) -> re.Pattern[str] | None:
    forms = {form for secret in secrets for form in _forms(secret) if len(form) >= LENGTH_MIN}
    if not forms:
        return None
    # The longest first, so that no part of a form is left over.
    ordered = sorted(forms, key=lambda form: (-len(form), form))
    return re.compile("|".join(_escaped(form) for form in ordered))


def _forms(secret: str) -> Iterator[str]:
    raw = secret.encode(errors="surrogatepass")
    yield secret
    if len(secret) < LENGTH_MIN:
        return
    yield from (raw.hex(), raw.hex().upper())
    for offset in range(3):
        # What is the same in base64 whatever comes before and after it.
        first, last = -(-offset * 4 // 3), (offset + len(raw)) * 8 // 6
        kept = base64.b64encode(bytes(offset) + raw).decode()[first:last]
        yield from (kept, kept.replace("+", "-").replace("/", "_"))


def _escaped(form: str) -> str:
    if len(form) <= PATTERN_LENGTH_MAX:
        return "".join(_character(one) for one in form)
    in_json = orjson.dumps(form.encode(errors="replace").decode()).decode()[1:-1]
    wholes = {form, in_json, quote_plus(form), quote(form), quote(form, safe="")}
    return "|".join(re.escape(one) for one in sorted(wholes))


def _character(one: str) -> str:
    """All the ways in which a character may be written. In JSON that is quoted in JSON, backslashes are doubled."""
    if one.isascii() and one.isalnum():
        return one
    raw = one.encode(errors="surrogatepass")
    units = one.encode("utf-16-be", errors="surrogatepass")
    ways = [rf"\\*{re.escape(one)}", f"(?i:{''.join(f'%{byte:02x}' for byte in raw)})"]
    ways.append("".join(rf"\\+(?i:u{units[at : at + 2].hex()})" for at in range(0, len(units), 2)))
    if one in _NAMED_ESCAPES:
        ways.append(rf"\\+{_NAMED_ESCAPES[one]}")
    if one == " ":
        ways.append(r"\+")
    if html.escape(one) != one:
        ways.append(re.escape(html.escape(one)))
    return f"(?:{'|'.join(ways)})"
