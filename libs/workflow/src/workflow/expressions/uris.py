"""URI templates, RFC 6570 level 1: `{name}` takes a top-level property of the current data."""

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from workflow.expressions.errors import ExpressionFailed, ExpressionSyntaxError
from workflow.expressions.expression import Expression
from workflow.expressions.frame import Scope
from workflow.expressions.templates import Embedded, split, text_of

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_NAME: Final = re.compile(
    r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+(?:\.(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})+)*"
)
_UNRESERVED: Final = "-._~"


@dataclass(frozen=True, slots=True)
class _Property:
    name: str


class UriTemplate:
    """`{name}` is percent-encoded; what a `${ … }` yields stands as it is."""

    def __init__(self, pieces: tuple[str | _Property | Expression, ...]) -> None:
        self._pieces = pieces
        self.expressions = tuple(p for p in pieces if isinstance(p, Expression))
        self.variables = frozenset[str]().union(*(e.variables for e in self.expressions))
        self.uses_current = any(
            isinstance(p, _Property) or (isinstance(p, Expression) and p.uses_current)
            for p in pieces
        )

    @property
    def is_constant(self) -> bool:
        return all(isinstance(piece, str) for piece in self._pieces)

    def render(self, scope: Scope) -> str:
        """The URI. Raises ExpressionFailed for objects and arrays, and what the scope raises."""
        return "".join([_rendered(piece, scope) for piece in self._pieces])


def compile_uri_template(text: str) -> UriTemplate:
    """Raises ExpressionSyntaxError."""
    pieces: list[str | _Property | Expression] = []
    position = 0
    for part in split(text.rstrip()):
        if isinstance(part, Embedded):
            pieces.append(part.expression)
            position = part.end
        else:
            pieces.extend(_placeholders(part, position))
            position += len(part)
    if pieces and isinstance(pieces[0], str):
        pieces[0] = pieces[0].lstrip()
    return UriTemplate(tuple(pieces))


def _placeholders(text: str, offset: int) -> list[str | _Property]:
    pieces: list[str | _Property] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        pieces.append(_literal(text[position : match.start()], offset + position))
        if not _NAME.fullmatch(match[1]):
            raise ExpressionSyntaxError(
                f"`{match[0]}` is not a placeholder",
                advice="A URI template takes `{name}`, a property of the current data; for"
                " anything else write `${ … }`.",
                offset=offset + match.start(),
            )
        pieces.append(_Property(match[1]))
        position = match.end()
    pieces.append(_literal(text[position:], offset + position))
    return [piece for piece in pieces if piece != ""]


def _literal(text: str, offset: int) -> str:
    for at, character in enumerate(text):
        if character in "{}":
            raise ExpressionSyntaxError(
                f"`{character}` has no partner", advice="Placeholders are `{name}`.",
                offset=offset + at,
            )  # fmt: skip
    return text


def _rendered(piece: str | _Property | Expression, scope: Scope) -> str:
    if isinstance(piece, str):
        return piece
    if isinstance(piece, Expression):
        return _scalar(piece.evaluate(scope), "an expression in a URI")
    current = scope.current()
    value = current.get(piece.name) if isinstance(current, dict) else None
    return quote(_scalar(value, f"`{{{piece.name}}}`"), safe=_UNRESERVED)


def _scalar(value: Any, what: str) -> str:
    if value is None:
        return ""
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "an array"
        raise ExpressionFailed(f"{what} is {kind}; a URI takes text and numbers")
    return text_of(value)
