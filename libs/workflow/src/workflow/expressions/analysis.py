"""What a program refers to: its free variables, and whether every function it calls exists."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, Final

from workflow.expressions import names
from workflow.expressions.errors import ExpressionSyntaxError
from workflow.expressions.patterns import variables_of
from workflow.expressions.syntax import (
    Bind,
    Break,
    Call,
    Define,
    Fold,
    Format,
    Label,
    Node,
    Pattern,
    Text,
    Variable,
)

_DEPTH_MAX: Final = 160
"""Nodes inside each other, in a chain of operators as well. Well below Python's own limit."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What has a name at one place of the program."""

    variables: frozenset[str] = frozenset()
    functions: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    depth: int = 0

    def deeper(self) -> "_Known":
        if self.depth >= _DEPTH_MAX:
            raise ExpressionSyntaxError(
                "the expression is nested too deeply",
                advice="Compute parts of it in tasks of their own.",
            )
        return replace(self, depth=self.depth + 1)

    def binding(self, patterns: tuple[Pattern, ...]) -> "_Known":
        return replace(self, variables=self.variables.union(*map(variables_of, patterns)))

    def defining(self, name: str, arity: int) -> "_Known":
        return replace(self, functions=self.functions | {f"{name}/{arity}"})

    def within(self, parameters: tuple[str, ...]) -> "_Known":
        """Inside a function. A `$value` can also be called as a filter of that name."""
        return replace(
            self,
            variables=self.variables | {name[1:] for name in parameters if name.startswith("$")},
            functions=self.functions | {f"{name.lstrip('$')}/0" for name in parameters},
        )


class Analysis:
    """Walks a program once; refuses it with ExpressionSyntaxError."""

    def __init__(self, program: Node) -> None:
        self.variables: set[str] = set()
        self.size = 0
        """Nodes of the program: what one pass over it costs."""
        self._visit(program, _Known())

    def _visit(self, node: Any, known: _Known) -> None:
        self.size += 1
        known = known.deeper()
        match node:
            case Bind(source, patterns, body):
                self._visit(source, known)
                self._visit_all((*patterns, body), known.binding(patterns))
            case Fold(source, patterns, steps):
                self._visit(source, known)
                self._visit_all((*patterns, *steps), known.binding(patterns))
            case Define(name, parameters, body, rest):
                known = known.defining(name, len(parameters))
                self._visit(body, known.within(parameters))
                self._visit(rest, known)
            case Label(name, body):
                self._visit(body, replace(known, labels=known.labels | {name}))
            case _:
                self._check(node, known)
                self._visit_all(_children(node), known)

    def _visit_all(self, nodes: Iterable[Any], known: _Known) -> None:
        for child in nodes:
            self._visit(child, known)

    def _check(self, node: Any, known: _Known) -> None:
        match node:
            case Variable(name, offset) if name not in known.variables:
                self._note_variable(name, offset)
            case Call(name, arguments, offset):
                _check_function(name, len(arguments), offset, known.functions)
            case Text(form, _) | Format(form):
                _check_format(form)
            case Break(name, offset) if name not in known.labels:
                raise ExpressionSyntaxError(f"there is no label `${name}` here", offset=offset)
            case _:
                pass

    def _note_variable(self, name: str, offset: int) -> None:
        reason = names.REFUSED_VARIABLES.get(name)
        if reason is not None:
            raise ExpressionSyntaxError(
                f"`${name}` is not available", advice=_sentence(reason), offset=offset
            )
        if "::" in name:
            raise ExpressionSyntaxError(
                f"`${name}` would come from a module, and there are none", offset=offset
            )
        self.variables.add(name)


def _children(node: Any) -> Iterator[Any]:
    """The nodes right below, whatever tuples they sit in."""
    for field in fields(node):
        yield from _nodes_in(getattr(node, field.name))


def _nodes_in(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for item in value:
            yield from _nodes_in(item)
    elif is_dataclass(value):
        yield value


def _check_function(name: str, arity: int, offset: int, functions: frozenset[str]) -> None:
    signature = f"{name}/{arity}"
    if signature in functions:
        return
    reason = names.REFUSED.get(name)
    if reason is not None:
        raise ExpressionSyntaxError(
            f"`{name}` is not available", advice=_sentence(reason), offset=offset
        )
    if signature in names.KNOWN:
        return
    raise ExpressionSyntaxError(
        f"there is no function `{signature}`", advice=_advice(name), offset=offset
    )


def _advice(name: str) -> str:
    others = sorted(known for known in names.KNOWN if known.split("/")[0] == name)
    if others:
        return f"It exists as {', '.join(others)}."
    known = {signature.split("/")[0] for signature in names.KNOWN}
    close = get_close_matches(name, known, n=1, cutoff=0.8)
    if close:
        return f"Did you mean `{close[0]}`?"
    return f'For a property write `.{name}`, for text `"{name}"`.'


def _check_format(name: str) -> None:
    if name not in names.FORMATS:
        raise ExpressionSyntaxError(
            f"there is no format `@{name}`",
            advice=f"There are {', '.join('@' + form for form in sorted(names.FORMATS))}.",
        )


def _sentence(reason: str) -> str:
    return reason[0].upper() + reason[1:] + "."
