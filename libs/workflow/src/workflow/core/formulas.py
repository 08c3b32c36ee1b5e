"""Expressions and templates of a document as plain callables, and which variables they read."""

from __future__ import annotations

from collections.abc import Iterable

from workflow.core.nodes import Duration, Formula
from workflow.core.values import Json
from workflow.document.durations import parse_duration
from workflow.expressions import (
    compile_bare,
    compile_template,
    compile_transform,
    compile_uri_template,
    is_expression,
)


class Reads:
    """Collects the variables that a group of expressions reads, for itself and the groups around it."""

    def __init__(self, outer: Reads | None = None) -> None:
        self.names: set[str] = set()
        """Free variables, without `$`."""
        self.everything: set[str] = outer.everything if outer else set()

    def add(self, names: Iterable[str]) -> None:
        self.names.update(names)
        self.everything.update(names)


def bare(text: str, reads: Reads) -> Formula:
    """A field that is an expression, with or without `${ }`."""
    expression = compile_bare(text)
    reads.add(expression.variables)
    return expression.evaluate


def transform(value: Json, reads: Reads) -> Formula:
    """`as` and `from`: an expression, or an object with expressions in it."""
    compiled = compile_transform(value)
    reads.add(compiled.variables)
    return compiled.render


def template(value: Json, reads: Reads) -> Formula:
    """A JSON value with `${ }` in its strings."""
    compiled = compile_template(value)
    reads.add(compiled.variables)
    return compiled.render


def uri(text: str, reads: Reads) -> Formula:
    """A URI template; an expression as a whole may give the URI, too."""
    if is_expression(text):
        return template(text, reads)
    compiled = compile_uri_template(text)
    reads.add(compiled.variables)
    return compiled.render


def duration_of(value: Json, reads: Reads) -> Duration:
    if isinstance(value, str) and is_expression(value):
        return Duration(None, template(value, reads))
    return Duration(parse_duration(value))
