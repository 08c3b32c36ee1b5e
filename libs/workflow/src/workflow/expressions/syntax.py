"""The shape of a jq program: one frozen class for each construct of the language."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Identity:
    pass


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any
    exact: bool = True
    """False for a number whose spelling Python does not keep (`1.10`, `1e3`); jq does."""
    precise: bool = True
    """False for a number that is not the value Python computes with."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string with interpolations, each piece passed through the format."""

    format: str
    parts: "tuple[str | Node, ...]"


@dataclass(frozen=True, slots=True)
class Format:
    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Location:
    """`$__loc__`."""


@dataclass(frozen=True, slots=True)
class RecurseAll:
    """`..`."""


@dataclass(frozen=True, slots=True)
class Index:
    target: "Node"
    key: "Node"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    target: "Node"
    start: "Node | None"
    stop: "Node | None"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Each:
    target: "Node"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Array:
    body: "Node | None"


@dataclass(frozen=True, slots=True)
class Object:
    entries: "tuple[tuple[Node, Node], ...]"


@dataclass(frozen=True, slots=True)
class Negate:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic and comparison."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Logic:
    """`and`, `or`."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Alternative:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Update:
    """`=`, `|=`, `+=` and the rest."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Pipe:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Comma:
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class If:
    condition: "Node"
    then: "Node"
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Try:
    body: "Node"
    handler: "Node | None"


@dataclass(frozen=True, slots=True)
class PatternVariable:
    name: str


@dataclass(frozen=True, slots=True)
class PatternArray:
    items: "tuple[Pattern, ...]"


@dataclass(frozen=True, slots=True)
class PatternEntry:
    variable: str | None
    key: "Node"
    pattern: "Pattern | None"


@dataclass(frozen=True, slots=True)
class PatternObject:
    entries: tuple[PatternEntry, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    source: "Node"
    patterns: "tuple[Pattern, ...]"
    """More than one when joined by `?//`."""
    body: "Node"


@dataclass(frozen=True, slots=True)
class Fold:
    """`reduce` and `foreach`."""

    source: "Node"
    patterns: "tuple[Pattern, ...]"
    steps: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Define:
    name: str
    parameters: tuple[str, ...]
    """Written as in the program: `f` for a filter, `$x` for a value."""
    body: "Node"
    rest: "Node"


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    body: "Node"


@dataclass(frozen=True, slots=True)
class Break:
    name: str
    offset: int


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: "tuple[Node, ...]"
    offset: int


Pattern = PatternVariable | PatternArray | PatternObject
Node = (
    Identity | Literal | Text | Format | Variable | Location | RecurseAll | Index | Slice | Each
    | Array | Object | Negate | Binary | Logic | Alternative | Update | Pipe | Comma | If | Try
    | Bind | Fold | Define | Label | Break | Call
)  # fmt: skip
