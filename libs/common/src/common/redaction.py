"""What must not leave the process in a log line or an error report: secrets never, contents only when asked for.

Code of ours logs neither. This is the second line of defence, for what exceptions and libraries quote: an address
with its password, a request's headers, the row that PostgreSQL refuses.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import NoneType
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel, SecretStr

from common.security import hiding as forms

REDACTED: Final = forms.REDACTED
WITHHELD: Final = "[withheld]"
SECRET_LENGTH_MIN: Final = 8
"""Shorter ones would also be found where they are not meant."""

_SECRET_NAMES: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "dsn", "jwt"}
    | {"password", "secret", "token", "api_key", "apikey", "credentials"}
)
_SECRET_ENDINGS: Final = ("_password", "_secret", "_token", "_api_key")
_CONTENT_NAMES: Final = frozenset(
    {
        "prompt",
        "prompts",
        "messages",
        "completion",
        "answer",
        "question",
        "query",
        "input",
        "output",
    }
    | {"text", "texts", "content", "contents", "passage", "passages", "document", "body", "payload"}
)

_SECRETS: Final = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+.-]*://[^\s:/@]*):[^\s@]+@"
    r"|(?P<bearer>\b(?:bearer|basic)\s+)[a-z0-9._~+/=-]{8,}"
    r"|(?P<named>\b(?:password|passwd|secret|api[_-]?key|access[_-]?token)[\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+"
    r"|\bsk-[a-z0-9_-]{16,}"
    r"|\bkwe_[a-z0-9_-]{20,}"
    r"|\beyj[a-z0-9_-]{8,}\.[a-z0-9_-]+\.[a-z0-9_-]+"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    re.IGNORECASE,
)
_MARKS: Final = (
    *("://", "bearer", "basic ", "passw", "secret", "key", "token"),
    *("sk-", "kwe_", "eyj", "akia", "asia", "detail:", "input_value="),
)
"""In small letters. Whatever the expressions find has one of them, and most lines have none: looking for them is far cheaper."""

_HARMLESS: Final = (int, float, UUID, NoneType)
_QUOTED_CONTENTS: Final = re.compile(
    r"(?P<detail>\bDETAIL:\s*)[^\n]+|(?P<input>\binput_value=).*?(?=, input_type=)", re.DOTALL
)


_hiding: ContextVar[forms.Hiding | None] = ContextVar("hiding", default=None)


@contextmanager
def hidden_from_logs(hiding: forms.Hiding) -> Iterator[None]:
    """Keep what `hiding` knows, now or later, out of lines that are logged in the block."""
    token = _hiding.set(hiding)
    try:
        yield
    finally:
        _hiding.reset(token)


def is_hiding() -> bool:
    """Whether the work at hand knows secrets that must not be said."""
    hiding = _hiding.get()
    return hiding is not None and bool(hiding.secrets)


def _readable(value: Any) -> Any:
    return str(value) if isinstance(value, BaseException) else value


class Redactor:
    """Cleans texts and the fields of log lines."""

    def __init__(self, known: Iterable[str] = (), *, contents: bool = False) -> None:
        """`known` are secrets themselves; `contents` lets prompts, answers and documents pass."""
        longest_first = sorted({each for each in known if len(each) >= SECRET_LENGTH_MIN}, key=len)
        self._known = tuple(reversed(longest_first))
        self._contents = contents

    @property
    def shows_contents(self) -> bool:
        return self._contents

    def line(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """All fields of a log line."""
        if is_hiding():
            return {name: self.field(name, _readable(value)) for name, value in fields.items()}
        if self._is_harmless(fields):
            return fields
        return {name: self.field(name, value) for name, value in fields.items()}

    def _is_harmless(self, fields: Mapping[str, Any]) -> bool:
        """Whether there is nothing to look at closely. Nearly always so, hence in few steps."""
        texts = []
        for name, value in fields.items():
            if type(value) is str:
                texts.append(value)
            elif not isinstance(value, _HARMLESS):
                return False
            if _is_watched(name):
                return False
        text = "\n".join(texts)
        lowered = text.lower()
        return not any(mark in lowered for mark in _MARKS) and not any(
            secret in text for secret in self._known
        )

    def text(self, text: str) -> str:
        if (hiding := _hiding.get()) is not None:
            text = hiding.text(text)
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, REDACTED)
        text = _SECRETS.sub(_without_secret, text)
        return text if self._contents else _QUOTED_CONTENTS.sub(_without_content, text)

    def field(self, name: str, value: Any) -> Any:
        """One field of a line, by what it is called and what it says."""
        lowered = name.lower()
        if lowered in _SECRET_NAMES or lowered.endswith(_SECRET_ENDINGS):
            return REDACTED if value else value
        if not self._contents and lowered in _CONTENT_NAMES and _may_hold_content(value):
            return WITHHELD
        return self.value(value)

    def value(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {name: self.field(str(name), each) for name, each in value.items()}
            case list() | tuple():
                return [self.value(each) for each in value]
            case BaseException():
                return self.text(str(value))
            case _:
                return value


def secrets_of(settings: object) -> list[str]:
    """The values of all secrets in the settings."""
    if not isinstance(settings, BaseModel):
        return []
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return [each.get_secret_value() for each in values if isinstance(each, SecretStr)]


@lru_cache(maxsize=1024)
def _is_watched(name: str) -> bool:
    lowered = name.lower()
    return (
        lowered in _SECRET_NAMES or lowered in _CONTENT_NAMES or lowered.endswith(_SECRET_ENDINGS)
    )


def _may_hold_content(value: object) -> bool:
    return isinstance(value, str | bytes | list | tuple | Mapping)


def _without_secret(found: re.Match[str]) -> str:
    if found["scheme"] is not None:
        return f"{found['scheme']}:{REDACTED}@"
    return f"{found['bearer'] or found['named'] or ''}{REDACTED}"


def _without_content(found: re.Match[str]) -> str:
    return f"{found['detail'] or found['input']}{WITHHELD}"
