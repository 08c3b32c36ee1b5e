"""Where in a text each value of a document stands, and what every reader must refuse.

Readers build the JSON value and the source map together: `Builder` keeps the limits, so that JSON
and YAML are refused for the same reasons with the same words.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from workflow.document.diagnostics import Code, Diagnostic, DocumentRefused

DOCUMENT_MAX_BYTES = 1_048_576
DEPTH_MAX = 64
NODES_MAX = 50_000
"""Values in one document. Bounds the time to read it: YAML costs about 30 µs for each."""

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**64 - 1
"""What fits into 64 bits; larger numbers would lose digits in other programs."""

_FORBIDDEN = re.compile("[\x00\ud800-\udfff]")


class Place(NamedTuple):
    line: int
    column: int


def join(pointer: str, *keys: str | int) -> str:
    """A JSON pointer (RFC 6901) to a member of what `pointer` names."""
    for key in keys:
        pointer += "/" + str(key).replace("~", "~0").replace("/", "~1")
    return pointer


def split(pointer: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in pointer.split("/")[1:]]


@dataclass(slots=True)
class SourceMap:
    """JSON pointer → place. A scalar is where it is written, anything else where its key is."""

    values: dict[str, Place] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)

    def place(self, pointer: str, *, of_key: bool = False) -> Place | None:
        """The place of a value; of the nearest value around it if it is not in the text."""
        if of_key and pointer in self.keys:
            return self.keys[pointer]
        while pointer not in self.values:
            if not pointer:
                return None
            pointer = pointer.rpartition("/")[0]
        return self.values[pointer]


def refuse(
    code: Code, message: str, place: Place | None, *, pointer: str = "", advice: str | None = None
) -> DocumentRefused:
    line, column = place or (None, None)
    return DocumentRefused(
        [
            Diagnostic(
                code=code, message=message, advice=advice, pointer=pointer, line=line, column=column
            )
        ]
    )


class Builder:
    """Records places and applies the limits while a reader goes through a text."""

    def __init__(self) -> None:
        self.source = SourceMap()
        self._nodes = 0

    def enter(self, pointer: str, place: Place, depth: int) -> None:
        """A value begins. `depth` is the number of objects and lists around it."""
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise refuse(
                Code.LIMIT,
                f"the document has more than {NODES_MAX:,} values",
                place,
                pointer=pointer,
                advice="Split the workflow and run the parts with `run: workflow`.",
            )
        if depth > DEPTH_MAX:
            raise refuse(
                Code.LIMIT,
                f"the document is nested more than {DEPTH_MAX} levels deep",
                place,
                pointer=pointer,
                advice="Move inner tasks into functions (`use.functions`) or another workflow.",
            )
        self.source.values[pointer] = place

    def key(self, members: dict[str, Any], parent: str, key: str, place: Place) -> str:
        """A member of an object begins; returns its pointer."""
        self.text(key, parent, place)
        pointer = join(parent, key)
        if key in members:
            first = self.source.keys[pointer]
            raise refuse(
                Code.SYNTAX,
                f"the key {key!r} appears twice in the same object",
                place,
                pointer=pointer,
                advice=f"It is first on line {first.line}. Remove or rename one of them.",
            )
        self.source.keys[pointer] = place
        return pointer

    def text(self, value: str, pointer: str, place: Place) -> str:
        found = _FORBIDDEN.search(value)
        if found is None:
            return value
        what = "a NUL character" if found.group() == "\x00" else "half of a surrogate pair"
        raise refuse(Code.SYNTAX, f"the text contains {what}", place, pointer=pointer)

    def integer(self, digits: str, pointer: str, place: Place, base: int = 10) -> int:
        if len(digits) <= 70:
            number = int(digits, base)
            if INTEGER_MIN <= number <= INTEGER_MAX:
                return number
        raise refuse(
            Code.SYNTAX,
            "the number does not fit into 64 bits",
            place,
            pointer=pointer,
            advice="Write it as text, in quotes.",
        )

    def fraction(self, digits: str, pointer: str, place: Place) -> float:
        number = float(digits)
        if number - number != 0:  # infinite: too large for a double
            raise refuse(Code.SYNTAX, "the number is too large", place, pointer=pointer)
        return number


def line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer("\n", text))]


def first_of(values: Iterable[Place | None]) -> Place | None:
    return min((place for place in values if place is not None), default=None)
