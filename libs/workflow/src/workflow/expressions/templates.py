"""`${ … }` in JSON: a string that is one expression keeps its type, several are interpolated."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import orjson

from workflow.expressions.errors import ExpressionSyntaxError
from workflow.expressions.expression import CACHED_LENGTH_MAX, Expression, compile_expression
from workflow.expressions.frame import Scope
from workflow.expressions.tokens import tokenize

_OPEN: Final = "${"
_DEPTH_MAX: Final = 128
_CACHED_MAX: Final = 4096


class Template(ABC):
    """A JSON value with expressions in it."""

    variables: frozenset[str]
    uses_current: bool
    expressions: tuple[Expression, ...]
    """All of them, in the order of the document."""

    @property
    def is_constant(self) -> bool:
        return not self.expressions

    @abstractmethod
    def render(self, scope: Scope) -> Any:
        """The value with every expression evaluated. Raises as `Expression.evaluate` does."""


class _Part(Template):
    def __init__(self, expressions: tuple[Expression, ...]) -> None:
        self.expressions = expressions
        self.variables = frozenset[str]().union(*(e.variables for e in expressions))
        self.uses_current = any(e.uses_current for e in expressions)


class _Constant(_Part):
    def __init__(self, value: Any) -> None:
        super().__init__(())
        self._value = value

    def render(self, scope: Scope) -> Any:
        del scope
        return self._value


class _Single(_Part):
    def __init__(self, expression: Expression) -> None:
        super().__init__((expression,))
        self._expression = expression

    def render(self, scope: Scope) -> Any:
        return self._expression.evaluate(scope)


class _Interpolated(_Part):
    def __init__(self, pieces: tuple[str | Expression, ...]) -> None:
        super().__init__(tuple(p for p in pieces if isinstance(p, Expression)))
        self._pieces = pieces

    def render(self, scope: Scope) -> str:
        return "".join(
            [
                piece if isinstance(piece, str) else text_of(piece.evaluate(scope))
                for piece in self._pieces
            ]
        )


class _Object(_Part):
    def __init__(self, entries: dict[str, Template]) -> None:
        super().__init__(tuple(e for part in entries.values() for e in part.expressions))
        self._entries = entries

    def render(self, scope: Scope) -> dict[str, Any]:
        return {name: part.render(scope) for name, part in self._entries.items()}


class _Array(_Part):
    def __init__(self, items: list[Template]) -> None:
        super().__init__(tuple(e for part in items for e in part.expressions))
        self._items = items

    def render(self, scope: Scope) -> list[Any]:
        return [part.render(scope) for part in self._items]


def is_expression(text: str) -> bool:
    """Whether the whole string is one `${ … }`. Raises ExpressionSyntaxError for a broken one."""
    return _sole(split(text)) is not None


def compile_template(value: Any) -> Template:
    """Compile the `${ … }` in the strings of a JSON value; names of properties stay as they are.

    Raises ExpressionSyntaxError, with the offset inside the string.
    """
    return _template(value, 0)


def compile_transform(value: Any) -> Template:
    """A field that is an expression, bare or in `${ }`, or an object of templates (`as`, `from`)."""
    return _Single(compile_bare(value)) if isinstance(value, str) else compile_template(value)


def compile_bare(text: str) -> Expression:
    """An expression-only field: `${ … }` and bare jq mean the same."""
    if not text.lstrip().startswith(_OPEN):
        return compile_expression(text)
    sole = _sole(split(text))
    if sole is None:
        raise ExpressionSyntaxError(
            "this field takes one expression, and here is text behind it",
            advice='Write one `${ … }`; join text inside of it, as in `${ "a\\(.b)" }`.',
        )
    return sole


def text_of(value: Any) -> str:
    """How a value reads inside a string: strings as they are, the rest as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


@dataclass(frozen=True, slots=True)
class Embedded:
    """A `${ … }` found in a string."""

    expression: Expression
    end: int
    """Where the string goes on."""


def split(text: str) -> tuple[str | Embedded, ...]:
    """The string's literal pieces and its expressions, in order."""
    return _split_before(text) if len(text) <= CACHED_LENGTH_MAX else _split(text)


@lru_cache(maxsize=_CACHED_MAX)
def _split_before(text: str) -> tuple[str | Embedded, ...]:
    return _split(text)


def _split(text: str) -> tuple[str | Embedded, ...]:
    pieces: list[str | Embedded] = []
    position = 0
    while (start := text.find(_OPEN, position)) >= 0:
        if start > position:
            pieces.append(text[position:start])
        inside = start + len(_OPEN)
        end = tokenize(text, inside, closer="}").end
        pieces.append(Embedded(_at(inside, text[inside : end - 1]), end))
        position = end
    if position < len(text):
        pieces.append(text[position:])
    return tuple(pieces)


def _at(offset: int, source: str) -> Expression:
    try:
        return compile_expression(source)
    except ExpressionSyntaxError as error:
        raise ExpressionSyntaxError(
            error.message, advice=error.advice, offset=error.offset + offset
        ) from None


def _sole(pieces: tuple[str | Embedded, ...]) -> Expression | None:
    """The one expression, if there is nothing but blanks around it."""
    parts = [piece for piece in pieces if isinstance(piece, Embedded) or piece.strip()]
    only = parts[0] if len(parts) == 1 else None
    return only.expression if isinstance(only, Embedded) else None


def _template(value: Any, depth: int) -> Template:
    if depth > _DEPTH_MAX:
        raise ExpressionSyntaxError("the value is nested too deeply")
    if isinstance(value, str):
        return _from_string(value)
    part: Template
    if isinstance(value, dict):
        part = _Object({name: _template(item, depth + 1) for name, item in value.items()})
    elif isinstance(value, list):
        part = _Array([_template(item, depth + 1) for item in value])
    else:
        return _Constant(value)
    return _Constant(value) if part.is_constant else part


def _from_string(text: str) -> Template:
    if _OPEN not in text:
        return _Constant(text)
    pieces = split(text)
    sole = _sole(pieces)
    if sole is not None:
        return _Single(sole)
    return _Interpolated(tuple(p.expression if isinstance(p, Embedded) else p for p in pieces))
