"""YAML 1.2 with the place of every value, restricted to what JSON can say.

Works on the parser's events, so that nothing is built before it has been checked: aliases (and
with them documents that expand without bound), tags, several documents and complex keys are
refused as they appear. Plain scalars follow the core schema of YAML 1.2: `on`, `yes`, `1.0.3` and
`2026-01-31` are texts, `1e3` is a number.
"""

import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from ruamel.yaml.reader import ReaderError

from workflow.document.diagnostics import Code, DocumentRefused
from workflow.document.source import Builder, Place, SourceMap, join, line_starts, refuse

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_PREFIXED = re.compile(r"0o(?P<octal>[0-7]+)|0x(?P<hexadecimal>[0-9a-fA-F]+)")
_FRACTION = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

_SURROGATE = re.compile("[\ud800-\udfff]")

_CORE = "tag:yaml.org,2002:"
_TAGS = {f"{_CORE}{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}


def read_yaml(text: str) -> tuple[Any, SourceMap]:
    """The value and its source map; raises `DocumentRefused`."""
    reader = _Reader(YAML(typ="safe", pure=True).parse(text))
    try:
        return reader.document(), reader.builder.source
    except MarkedYAMLError as error:
        raise _not_yaml(error) from error
    except ReaderError as error:
        raise _bad_character(error, text) from error
    except (YAMLError, ValueError) as error:
        # DocumentRefused is a ValueError too. Others come from escapes such as "\U00110000".
        if isinstance(error, DocumentRefused):
            raise
        raise refuse(Code.SYNTAX, f"this is not YAML: {error}", None) from error


def _not_yaml(error: MarkedYAMLError) -> DocumentRefused:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else None
    problem = " ".join(part for part in (error.context, error.problem) if part)
    advice = "Indent with spaces." if "\\t" in problem else "Check indentation, colons and quotes."
    return refuse(Code.SYNTAX, f"this is not YAML: {problem}", place, advice=advice)


def _bad_character(error: ReaderError, text: str) -> DocumentRefused:
    starts = [start for start in line_starts(text) if start <= error.position]
    place = Place(len(starts), error.position - starts[-1] + 1)
    character = error.character if isinstance(error.character, int) else ord(error.character)
    message = f"the character U+{character:04X} is not allowed in YAML"
    return refuse(Code.SYNTAX, message, place)


def _place(event: Event) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _paired(text: str) -> str:
    """JSON writes a character beyond U+FFFF as two escapes; together they are that character."""
    if _SURROGATE.search(text) is None:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


class _Reader:
    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self.builder = Builder()

    def document(self) -> Any:
        event = self._next()
        if isinstance(event, StreamStartEvent):
            event = self._next()
        if isinstance(event, StreamEndEvent):
            raise refuse(Code.SYNTAX, "the document is empty", Place(1, 1))
        value = self._value(self._next(), "", 0)
        after = next(event for event in self._events if not isinstance(event, DocumentEndEvent))
        if isinstance(after, DocumentStartEvent):
            raise refuse(
                Code.SYNTAX,
                "the text holds several YAML documents",
                _place(after),
                advice="Send each workflow by itself, without `---` between them.",
            )
        return value

    def _next(self) -> Event:
        return next(self._events)

    def _value(self, event: Event, pointer: str, depth: int, key: Place | None = None) -> Any:
        place = _place(event)
        if isinstance(event, AliasEvent):
            raise refuse(
                Code.SYNTAX,
                f"the alias *{event.anchor} is not supported",
                place,
                pointer=pointer,
                advice="Write the value out, or declare it in `use` and refer to it by name.",
            )
        self._refuse_tag(event, pointer, place)
        match event:
            case MappingStartEvent():
                self.builder.enter(pointer, key or place, depth + 1)
                return self._mapping(pointer, depth + 1)
            case SequenceStartEvent():
                self.builder.enter(pointer, key or place, depth + 1)
                return self._sequence(pointer, depth + 1)
            case _:
                self.builder.enter(pointer, place, depth)
                return self._scalar(event, pointer, place)

    def _refuse_tag(self, event: Event, pointer: str, place: Place) -> None:
        tag = str(getattr(event, "tag", None) or "")
        if tag in {"", "!"} or tag in _TAGS:
            return
        raise refuse(
            Code.SYNTAX,
            f"the tag {tag} is not supported",
            place,
            pointer=pointer,
            advice="Remove it: a document holds plain JSON values only.",
        )

    def _mapping(self, pointer: str, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := self._next(), MappingEndEvent):
            place = _place(event)
            if not isinstance(event, ScalarEvent):
                raise refuse(Code.SYNTAX, "a key must be a text", place, pointer=pointer)
            self._refuse_tag(event, pointer, place)
            key = _paired(event.value)
            member = self.builder.key(members, pointer, key, place)
            members[key] = self._value(self._next(), member, depth, place)
        return members

    def _sequence(self, pointer: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), SequenceEndEvent):
            items.append(self._value(event, join(pointer, len(items)), depth))
        return items

    def _scalar(self, event: Any, pointer: str, place: Place) -> Any:
        tag = str(event.tag or "")
        text = self.builder.text(_paired(event.value), pointer, place)
        if event.style is not None or tag in {"!", f"{_CORE}str"}:
            if tag in {"", "!", f"{_CORE}str"}:
                return text
        value = self._plain(text, pointer, place)
        if tag and not isinstance(value, _EXPECTED[tag]):
            raise refuse(Code.SYNTAX, f"{text!r} is not a {tag}", place, pointer=pointer)
        return value

    def _plain(self, text: str, pointer: str, place: Place) -> Any:
        if text in _NULL:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            return self.builder.integer(text, pointer, place)
        if prefixed := _PREFIXED.fullmatch(text):
            digits = prefixed.group("octal") or prefixed.group("hexadecimal")
            return self.builder.integer(
                digits, pointer, place, 8 if prefixed.group("octal") else 16
            )
        if _FRACTION.fullmatch(text):
            return self.builder.fraction(text, pointer, place)
        if _NOT_FINITE.fullmatch(text):
            raise refuse(
                Code.SYNTAX,
                f"{text} is not a number that JSON knows",
                place,
                pointer=pointer,
                advice="Write it in quotes if it is a text.",
            )
        return text


_EXPECTED: dict[str, type | tuple[type, ...]] = {
    f"{_CORE}int": int,
    f"{_CORE}float": (int, float),
    f"{_CORE}bool": bool,
    f"{_CORE}null": type(None),
    f"{_CORE}map": dict,
    f"{_CORE}seq": list,
}
