"""`@text`, `@json`, `@html`, `@uri` and `@base64`; the other formats belong to a worker."""

import base64
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from workflow.expressions.combining import NotFast
from workflow.expressions.frame import Code, Frame
from workflow.expressions.values import to_json, to_text

Speller = Callable[[Any, Frame], str]

_HTML: Final = str.maketrans({"<": "&lt;", ">": "&gt;", "&": "&amp;", "'": "&apos;", '"': "&quot;"})


def _html(value: Any, frame: Frame) -> str:
    return _charged(to_text(value, frame), frame).translate(_HTML)


def _uri(value: Any, frame: Frame) -> str:
    return quote(_charged(to_text(value, frame), frame), safe="-_.~")


def _base64(value: Any, frame: Frame) -> str:
    return base64.b64encode(_charged(to_text(value, frame), frame).encode()).decode()


def _charged(text: str, frame: Frame) -> str:
    frame.charge(len(text) >> 5)
    return text


_SPELLERS: Final[dict[str, Speller]] = {
    "text": to_text,
    "json": to_json,
    "html": _html,
    "uri": _uri,
    "base64": _base64,
}


def speller(name: str) -> Speller:
    found = _SPELLERS.get(name)
    if found is None:
        raise NotFast
    return found


def code(name: str) -> Code:
    return Code(one=speller(name))
