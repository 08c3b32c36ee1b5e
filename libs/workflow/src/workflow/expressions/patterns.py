"""Destructuring patterns: `$x`, `[$a, $b]`, `{a: $x, $y}`, and alternatives by `?//`."""

from typing import TYPE_CHECKING

from workflow.expressions.syntax import (
    Literal,
    Node,
    Pattern,
    PatternArray,
    PatternEntry,
    PatternObject,
    PatternVariable,
)
from workflow.expressions.tokens import Kind

if TYPE_CHECKING:
    from workflow.expressions.primaries import Primaries


def alternatives(parser: "Primaries") -> tuple[Pattern, ...]:
    shapes = [_pattern(parser)]
    while parser.accept("?//"):
        shapes.append(_pattern(parser))
    return tuple(shapes)


def variables_of(pattern: Pattern) -> frozenset[str]:
    match pattern:
        case PatternVariable(name):
            return frozenset((name,))
        case PatternArray(items):
            return frozenset().union(*(variables_of(item) for item in items))
        case PatternObject(entries):
            names = {entry.variable for entry in entries if entry.variable is not None}
            nested = (entry.pattern for entry in entries if entry.pattern is not None)
            return frozenset(names).union(*(variables_of(inner) for inner in nested))


def _pattern(parser: "Primaries") -> Pattern:
    token = parser.peek()
    if token.kind is Kind.VARIABLE:
        parser.advance()
        if token.text == "__loc__":
            raise parser.unexpected("`$__loc__` cannot be bound", token)
        return PatternVariable(token.text)
    if parser.accept("["):
        items = [_pattern(parser)]
        while parser.accept(","):
            items.append(_pattern(parser))
        parser.expect("]")
        return PatternArray(tuple(items))
    if parser.accept("{"):
        entries = [_entry(parser)]
        while parser.accept(","):
            entries.append(_entry(parser))
        parser.expect("}")
        return PatternObject(tuple(entries))
    raise parser.unexpected("after `as` comes a `$name` or a pattern")


def _entry(parser: "Primaries") -> PatternEntry:
    token = parser.peek()
    if token.kind is Kind.VARIABLE:
        parser.advance()
        inner = _pattern(parser) if parser.accept(":") else None
        return PatternEntry(token.text, Literal(token.text), inner)
    key: Node
    if token.kind in (Kind.NAME, Kind.KEYWORD):
        parser.advance()
        key = Literal(token.text)
    elif token.kind in (Kind.STRING, Kind.FORMAT):
        key = parser.string()
    elif parser.accept("("):
        key = parser.query()
        parser.expect(")")
    else:
        raise parser.unexpected("a property name is missing")
    parser.expect(":")
    return PatternEntry(None, key, _pattern(parser))
