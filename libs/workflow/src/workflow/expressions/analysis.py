"""What a program refers to: its free variables, and whether every function it calls exists."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

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
    Text,
    Variable,
)


class Analysis:
    """Walks a program once; refuses it with ExpressionSyntaxError."""

    def __init__(self, program: Node) -> None:
        self.variables: set[str] = set()
        self.size = 0
        """Nodes of the program: what one pass over it costs."""
        self._visit(program, frozenset(), frozenset(), frozenset())

    def _visit(
        self, node: Any, bound: frozenset[str], functions: frozenset[str], labels: frozenset[str]
    ) -> None:
        self.size += 1
        match node:
            case Variable(name, offset):
                self._variable(name, offset, bound)
            case Call(name, arguments, offset):
                _check_function(name, len(arguments), offset, functions)
            case Text(form, _) | Format(form):
                _check_format(form)
            case Break(name, offset) if name not in labels:
                raise ExpressionSyntaxError(f"there is no label `${name}` here", offset=offset)
            case Bind(source, patterns, body):
                self._visit(source, bound, functions, labels)
                inner = bound.union(*(variables_of(p) for p in patterns))
                self._visit_all((*patterns, body), inner, functions, labels)
                return
            case Fold(source, patterns, steps):
                self._visit(source, bound, functions, labels)
                inner = bound.union(*(variables_of(p) for p in patterns))
                self._visit_all((*patterns, *steps), inner, functions, labels)
                return
            case Define(name, parameters, body, rest):
                defined = functions | {f"{name}/{len(parameters)}"}
                local = {p for p in parameters if not p.startswith("$")}
                values = {p[1:] for p in parameters if p.startswith("$")}
                within = defined | {f"{p}/0" for p in local | values}
                self._visit(body, bound | values, within, labels)
                self._visit(rest, bound, defined, labels)
                return
            case Label(name, body):
                self._visit(body, bound, functions, labels | {name})
                return
            case _:
                pass
        self._visit_all(_children(node), bound, functions, labels)

    def _visit_all(
        self,
        nodes: "tuple[Any, ...] | Iterator[Any]",
        bound: frozenset[str],
        functions: frozenset[str],
        labels: frozenset[str],
    ) -> None:
        for child in nodes:
            self._visit(child, bound, functions, labels)

    def _variable(self, name: str, offset: int, bound: frozenset[str]) -> None:
        if name in bound:
            return
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
    if isinstance(node, tuple):
        for item in node:
            yield from _children(item)
    elif is_dataclass(node):
        for field in fields(node):
            value = getattr(node, field.name)
            if isinstance(value, tuple):
                yield from (item for item in _flattened(value) if is_dataclass(item))
            elif is_dataclass(value):
                yield value


def _flattened(values: tuple[Any, ...]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from _flattened(value)
        else:
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
    close = get_close_matches(name, known, n=1)
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
