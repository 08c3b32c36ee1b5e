"""Strict JSON (RFC 8259) with the place of every value.

The standard library's decoder gives no places, keeps the last of duplicate keys, and accepts NaN
and lone surrogates; so the structure is read here and only texts are decoded by it.
"""

import re
from bisect import bisect_right
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

from workflow.document.diagnostics import Code
from workflow.document.source import Builder, Place, SourceMap, join, line_starts, refuse

_SPACE = re.compile(r"[ \t\n\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_WORDS = {"t": ("true", True), "f": ("false", False), "n": ("null", None)}


def read_json(text: str) -> tuple[Any, SourceMap]:
    """The value and its source map; raises `DocumentRefused`."""
    reader = _Reader(text)
    value = reader.value("", 0)
    reader.skip_space()
    if reader.at < len(text):
        reader.fail("there is more after the end of the document")
    return value, reader.builder.source


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.builder = Builder()
        self._lines = line_starts(text)

    def place(self, offset: int | None = None) -> Place:
        offset = self.at if offset is None else offset
        line = bisect_right(self._lines, offset)
        return Place(line, offset - self._lines[line - 1] + 1)

    def fail(self, message: str, *, advice: str | None = None) -> NoReturn:
        raise refuse(Code.SYNTAX, message, self.place(), advice=advice)

    def skip_space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def peek(self) -> str:
        """The next character that is not space; empty at the end."""
        self.skip_space()
        return self.text[self.at : self.at + 1]

    def value(self, pointer: str, depth: int, key_place: Place | None = None) -> Any:
        first = self.peek()
        if not first:
            self.fail("the document ends too early")
        if first in "{[":
            self.builder.enter(pointer, key_place or self.place(), depth + 1)
            read = self._object if first == "{" else self._list
            return read(pointer, depth + 1)
        self.builder.enter(pointer, self.place(), depth)
        return self._text(pointer) if first == '"' else self._number_or_word(pointer)

    def _object(self, pointer: str, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        self.at += 1
        if self.peek() == "}":
            self.at += 1
            return members
        while True:
            if self.peek() != '"':
                self.fail("a property name in double quotes is expected here")
            place = self.place()
            key = self._text(pointer)
            member = self.builder.key(members, pointer, key, place)
            if self.peek() != ":":
                self.fail("a colon is expected after the property name")
            self.at += 1
            members[key] = self.value(member, depth, place)
            if self._ends("}"):
                return members

    def _list(self, pointer: str, depth: int) -> list[Any]:
        items: list[Any] = []
        self.at += 1
        if self.peek() == "]":
            self.at += 1
            return items
        while True:
            items.append(self.value(join(pointer, len(items)), depth))
            if self._ends("]"):
                return items

    def _ends(self, closing: str) -> bool:
        """After a member: whether its container ends; if not, the comma is taken."""
        found = self.peek()
        if found not in {",", closing} or not found:
            self.fail(f"a comma or {closing} is expected here")
        self.at += 1
        return found == closing

    def _text(self, pointer: str) -> str:
        place = self.place()
        try:
            value, end = scanstring(self.text, self.at + 1, True)
        except JSONDecodeError as error:
            self.at = error.pos
            self.fail(f"the text cannot be read: {error.msg.lower()}")
        self.at = end
        return self.builder.text(value, pointer, place)

    def _number_or_word(self, pointer: str) -> Any:
        match = _NUMBER.match(self.text, self.at)
        if match is not None:
            place = self.place()
            self.at = match.end()
            if match.group(1) or match.group(2):
                return self.builder.fraction(match.group(), pointer, place)
            return self.builder.integer(match.group(), pointer, place)
        word, value = _WORDS.get(self.text[self.at], ("", None))
        if not word or not self.text.startswith(word, self.at):
            self.fail("a JSON value is expected here", advice="Texts need double quotes.")
        self.at += len(word)
        return value
