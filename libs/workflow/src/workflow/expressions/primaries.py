"""Terms: literals, strings, arrays, objects, calls, and the constructs that end by themselves."""

from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any, Final

from workflow.expressions import patterns
from workflow.expressions.errors import ExpressionSyntaxError
from workflow.expressions.syntax import (
    Array,
    Break,
    Call,
    Fold,
    Format,
    Identity,
    If,
    Index,
    Literal,
    Location,
    Node,
    Object,
    RecurseAll,
    Text,
    Variable,
)
from workflow.expressions.tokens import Kind, Token

_CONSTANTS = {"null": None, "true": True, "false": False}
_NESTING_MAX: Final = 64
_PRECISE_BELOW: Final = 1e15
_MODULE_WORDS = ("import", "include", "module")


class Primaries(ABC):
    """The lower half of the parser; `Parser` adds operators, paths and pipes."""

    def __init__(self, tokens: tuple[Token, ...], depth: int) -> None:
        self._tokens = tokens
        self._position = 0
        self.depth = depth

    @abstractmethod
    def query(self) -> Node: ...

    @abstractmethod
    def binary(self) -> Node: ...

    @abstractmethod
    def object_value(self) -> Node: ...

    @abstractmethod
    def nested(self, tokens: tuple[Token, ...]) -> Node: ...

    def peek(self) -> Token:
        return self._tokens[self._position]

    def advance(self) -> Token:
        token = self._tokens[self._position]
        if token.kind is not Kind.END:
            self._position += 1
        return token

    def accept(self, operator: str) -> bool:
        if self.peek().is_operator(operator):
            self._position += 1
            return True
        return False

    def accept_keyword(self, word: str) -> bool:
        if self.peek().is_keyword(word):
            self._position += 1
            return True
        return False

    def expect(self, operator: str) -> None:
        if not self.accept(operator):
            raise self.unexpected(f"`{operator}` is missing")

    def expect_keyword(self, word: str) -> None:
        if not self.accept_keyword(word):
            raise self.unexpected(f"`{word}` is missing")

    def expect_kind(self, kind: Kind, otherwise: str) -> Token:
        token = self.peek()
        if token.kind is not kind:
            raise self.unexpected(otherwise)
        return self.advance()

    def unexpected(self, wanted: str, token: Token | None = None) -> ExpressionSyntaxError:
        token = token or self.peek()
        advice = f"Found {token}."
        if token.is_operator("?//"):
            advice = "`?//` is one operator; write `? //` with a space."
        return ExpressionSyntaxError(wanted, advice=advice, offset=token.offset)

    def descend(self) -> None:
        """One bracket deeper. Whoever calls this comes back up with `self.depth -= 1`."""
        self.depth += 1
        if self.depth > _NESTING_MAX:
            raise ExpressionSyntaxError(
                "the expression is nested too deeply", offset=self.peek().offset
            )

    def primary(self) -> Node:
        token = self.peek()
        match token.kind:
            case Kind.FIELD:
                self.advance()
                return Index(Identity(), Literal(token.text))
            case Kind.NUMBER:
                self.advance()
                return _number(token.text)
            case Kind.STRING | Kind.FORMAT:
                return self._string_or_format()
            case Kind.VARIABLE:
                self.advance()
                return _variable(token)
            case Kind.NAME:
                return self._call()
            case Kind.KEYWORD:
                return self._construct()
            case _:
                return self._bracketed_term()

    def string(self) -> Node:
        """A string, perhaps behind a format."""
        form = self.advance().text if self.peek().kind is Kind.FORMAT else "text"
        token = self.expect_kind(Kind.STRING, "a string is missing")
        pieces = [p if isinstance(p, str) else self.nested(p) for p in token.parts]
        if all(isinstance(piece, str) for piece in pieces):
            return Literal("".join(piece for piece in pieces if isinstance(piece, str)))
        return Text(form, tuple(pieces))

    def _string_or_format(self) -> Node:
        token, after = self.peek(), self._tokens[self._position + 1]
        if token.kind is Kind.FORMAT and after.kind is not Kind.STRING:
            self.advance()
            return Format(token.text)
        return self.string()

    def _bracketed_term(self) -> Node:
        if self.accept("."):
            after = self.peek()
            return (
                Index(Identity(), self.string())
                if after.kind in (Kind.STRING, Kind.FORMAT)
                else Identity()
            )
        if self.accept(".."):
            return RecurseAll()
        if self.accept("("):
            node = self.query()
            self.expect(")")
            return node
        if self.accept("["):
            if self.accept("]"):
                return Array(None)
            body = self.query()
            self.expect("]")
            return Array(body)
        if self.accept("{"):
            return self._object()
        raise self.unexpected("a value is missing")

    def _object(self) -> Node:
        self.descend()
        entries: list[tuple[Node, Node]] = []
        while not self.accept("}"):
            entries.append(self._entry())
            if not self.accept(","):
                self.expect("}")
                break
            if self.peek().is_operator(","):
                raise self.unexpected("a property is missing")
        self.depth -= 1
        return Object(tuple(entries))

    def _entry(self) -> tuple[Node, Node]:
        token = self.peek()
        shorthand: Node | None
        if token.kind is Kind.VARIABLE:
            self.advance()
            shorthand = _variable(token)
            key: Node = Literal(token.text)
            if not self.peek().is_operator(":"):
                return key, shorthand
            key, shorthand = shorthand, None
        elif token.kind in (Kind.NAME, Kind.KEYWORD):
            self.advance()
            key = Literal(token.text)
            shorthand = Index(Identity(), key)
        elif token.kind in (Kind.STRING, Kind.FORMAT):
            key = self.string()
            shorthand = Index(Identity(), key)
        elif self.accept("("):
            key, shorthand = self.query(), None
            self.expect(")")
        else:
            raise self.unexpected("a property name is missing")
        if shorthand is not None and not self.peek().is_operator(":"):
            return key, shorthand
        self.expect(":")
        return key, self.object_value()

    def _call(self) -> Node:
        token = self.advance()
        if token.text == "break" and self.peek().kind is Kind.VARIABLE:
            return Break(self.advance().text, token.offset)
        arguments: list[Node] = []
        if self.accept("("):
            arguments.append(self.query())
            while self.accept(";"):
                arguments.append(self.query())
            self.expect(")")
        elif token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text])
        return Call(token.text, tuple(arguments), token.offset)

    def _construct(self) -> Node:
        token = self.advance()
        if token.text == "if":
            return self._if()
        if token.text in ("reduce", "foreach"):
            return self._fold(token.text)
        if token.text in _MODULE_WORDS:
            raise ExpressionSyntaxError(
                f"`{token.text}` is not available: expressions read no files",
                advice="Write the functions it needs into the expression with `def`.",
                offset=token.offset,
            )
        raise self.unexpected(f"`{token.text}` cannot stand here", token)

    def _if(self) -> Node:
        condition = self.query()
        self.expect_keyword("then")
        then = self.query()
        if self.accept_keyword("elif"):
            return If(condition, then, self._if())
        otherwise: Node = self.query() if self.accept_keyword("else") else Identity()
        self.expect_keyword("end")
        return If(condition, then, otherwise)

    def _fold(self, word: str) -> Node:
        source = self.binary()
        self.expect_keyword("as")
        shapes = patterns.alternatives(self)
        self.expect("(")
        steps = [self.query()]
        while self.accept(";"):
            steps.append(self.query())
        self.expect(")")
        if len(steps) != 2 and (word == "reduce" or len(steps) != 3):
            raise self.unexpected(f"`{word}` takes a start and an update, parted by `;`")
        return Fold(source, shapes, tuple(steps))


def _variable(token: Token) -> Node:
    return Location() if token.text == "__loc__" else Variable(token.text, token.offset)


def _number(text: str) -> Node:
    value: Any = int(text) if text.isdigit() and len(text) <= 15 else float(text)
    exact = repr(value) == text
    precise = exact or (value < _PRECISE_BELOW and Decimal(text) == Decimal(repr(value)))
    return Literal(value, exact, precise)
