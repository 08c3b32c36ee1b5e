"""Syntax to Python closures, for what has a bounded cost; NotFast for everything else.

Theory. Code that always has exactly one output is a plain function; only where jq may backtrack
(`,`, `.[]`, `?`, `select`) does it become a stream. The outermost `.` is read from the scope only
where it is used, so an expression that does not touch it never makes the host load it: places
whose `.` is still the outermost are compiled with `root=True`. Cost is bounded by charging the
frame for everything whose size depends on data; the program's own size is bounded by the parser.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from workflow.expressions import formats, functions
from workflow.expressions.combining import (
    NotFast,
    collected,
    crossed,
    forgiven,
    joined_text,
    listed,
    object_of,
    piped,
)
from workflow.expressions.frame import Code, Frame
from workflow.expressions.operators import OPERATIONS, negate
from workflow.expressions.pathcode import fields_of, indexed, iterated, sliced
from workflow.expressions.syntax import (
    Alternative,
    Array,
    Binary,
    Bind,
    Call,
    Comma,
    Each,
    Format,
    Identity,
    If,
    Index,
    Literal,
    Logic,
    Negate,
    Node,
    Object,
    PatternVariable,
    Pipe,
    Slice,
    Text,
    Try,
    Variable,
)
from workflow.expressions.values import truthy


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the program a piece of syntax stands."""

    root: bool = True
    """`.` is still the one the scope gives."""
    names: Mapping[str, int] = field(default_factory=dict)
    """Variables bound by `as`, and their index among the frame's locals."""

    def inner(self) -> "Place":
        return replace(self, root=False) if self.root else self


class Compiler:
    """Compiles one program, and notes what the whole of it needs."""

    def __init__(self) -> None:
        self.locals_count = 0
        self.uses_current = False
        self.copies = False
        """The result may repeat parts of its data more often than the program is long."""

    def compile(self, node: Node, place: Place) -> Code:
        match node:
            case Identity():
                return self.subject(place)
            case Literal(value, exact):
                return _literal(value, exact=exact)
            case Variable(name):
                return _variable(name, place)
            case Index():
                return self._index(node, place)
            case Slice() | Each():
                return self._path(node, place)
            case Object(entries):
                return self._object(entries, place)
            case Array(body):
                if body is None:
                    return Code(one=lambda _value, _frame: [])
                return collected(self.compile(body, place))
            case Binary(operator, left, right):
                return crossed(
                    self._operand(left, operator, place),
                    self._operand(right, operator, place),
                    OPERATIONS[operator],
                )
            case Call(name, arguments):
                return functions.compile_call(self, name, arguments, place)
            case Text(form, parts):
                return self._text(form, parts, place)
            case Format(name):
                return piped(self.subject(place), formats.code(name))
            case Negate(operand):
                return piped(
                    self.compile(operand, place), Code(one=lambda value, _frame: negate(value))
                )
            case _:
                return self._flow(node, place)

    def _operand(self, node: Node, operator: str, place: Place) -> Code:
        """Spelling gets lost in a computation anyway, except that `null + 1.10` computes nothing."""
        if isinstance(node, Literal) and node.precise and operator != "+":
            node = replace(node, exact=True)
        return self.compile(node, place)

    def subject(self, place: Place) -> Code:
        """`.` at this place."""
        if place.root:
            self.uses_current = True
            return Code(one=lambda _value, frame: frame.current())
        return Code(one=lambda value, _frame: value)

    def _flow(self, node: Node, place: Place) -> Code:
        match node:
            case Pipe():
                return self._pipe(node, place)
            case Comma():
                return listed([self.compile(part, place) for part in _commas(node)])
            case If(condition, then, otherwise):
                return _if(
                    self.compile(condition, place),
                    self.compile(then, place),
                    self.compile(otherwise, place),
                )
            case Logic(operator, left, right):
                return _logic(
                    self.compile(left, place), self.compile(right, place), decides=operator == "or"
                )
            case Alternative(left, right):
                return _alternative(self.compile(left, place), self.compile(right, place))
            case Try(body, None):
                return forgiven(self.compile(body, place))
            case Bind(source, (PatternVariable(name),), body):
                return self._bind(self.compile(source, place), name, body, place)
            case _:
                raise NotFast

    def _pipe(self, node: Pipe, place: Place) -> Code:
        if isinstance(node.left, Identity):
            return self.compile(node.right, place)
        self.copies = True
        return piped(self.compile(node.left, place), self.compile(node.right, place.inner()))

    def _bind(self, source: Code, name: str, body: Node, place: Place) -> Code:
        self.copies = True
        slot = self.locals_count
        self.locals_count += 1
        inner = self.compile(body, replace(place, names={**place.names, name: slot}))
        one, body_one = source.one, inner.one
        if one is not None and body_one is not None:

            def single(value: Any, frame: Frame) -> Any:
                frame.locals[slot] = one(value, frame)
                return body_one(value, frame)

            return Code(one=single)
        sources, bodies = source.stream(), inner.stream()

        def stream(value: Any, frame: Frame) -> Iterator[Any]:
            for item in sources(value, frame):
                frame.locals[slot] = item
                yield from bodies(value, frame)

        return Code(many=stream)

    def _index(self, node: Index, place: Place) -> Code:
        """A run of plain names becomes one function."""
        names: list[str] = []
        target: Node = node
        while (
            isinstance(target, Index)
            and not target.optional
            and isinstance(target.key, Literal)
            and isinstance(target.key.value, str)
        ):
            names.append(target.key.value)
            target = target.target
        if not names:
            return self._path(node, place)
        names.reverse()
        if isinstance(target, Variable) and target.name not in place.names:
            return Code(one=fields_of(tuple(names), variable=target.name))
        if isinstance(target, Identity):
            self.uses_current |= place.root
            return Code(one=fields_of(tuple(names), root=place.root))
        return piped(self.compile(target, place), Code(one=fields_of(tuple(names))))

    def _path(self, node: Index | Slice | Each, place: Place) -> Code:
        target = self.compile(node.target, place)
        match node:
            case Index(_, key, optional):
                return indexed(target, self.compile(key, place), optional=optional)
            case Slice(_, start, stop, optional):
                bounds = [self.compile(bound or Literal(None), place) for bound in (start, stop)]
                return sliced(target, *bounds, optional=optional)
            case Each(_, optional):
                self.copies = True
                return iterated(target, optional=optional)

    def _object(self, entries: tuple[tuple[Node, Node], ...], place: Place) -> Code:
        return object_of(
            [
                (
                    key.value
                    if isinstance(key, Literal) and isinstance(key.value, str)
                    else self.compile(key, place),
                    self.compile(value, place),
                )
                for key, value in entries
            ]
        )

    def _text(self, form: str, parts: tuple[str | Node, ...], place: Place) -> Code:
        pieces = [part if isinstance(part, str) else self.compile(part, place) for part in parts]
        return joined_text(pieces, formats.speller(form))


def _literal(value: Any, *, exact: bool) -> Code:
    if not exact:
        raise NotFast
    return Code(one=lambda _value, _frame: value)


def _variable(name: str, place: Place) -> Code:
    slot = place.names.get(name)
    if slot is None:
        return Code(one=lambda _value, frame: frame.variable(name))
    return Code(one=lambda _value, frame: frame.locals[slot])


def _commas(node: Node) -> list[Node]:
    parts: list[Node] = []
    while isinstance(node, Comma):
        parts.append(node.right)
        node = node.left
    return [node, *reversed(parts)]


def _if(condition: Code, then: Code, otherwise: Code) -> Code:
    test, first, second = condition.one, then.one, otherwise.one
    if test is not None and first is not None and second is not None:
        return Code(
            one=lambda value, frame: (first if truthy(test(value, frame)) else second)(value, frame)
        )
    tests, firsts, seconds = condition.stream(), then.stream(), otherwise.stream()

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for answer in tests(value, frame):
            yield from (firsts if truthy(answer) else seconds)(value, frame)

    return Code(many=stream)


def _logic(left: Code, right: Code, *, decides: bool) -> Code:
    """`and` is decided by false, `or` by true; the right side is then not looked at."""
    first, second = left.one, right.one
    if first is not None and second is not None:

        def single(value: Any, frame: Frame) -> bool:
            if truthy(first(value, frame)) is decides:
                return decides
            return truthy(second(value, frame))

        return Code(one=single)
    lefts, rights = left.stream(), right.stream()

    def stream(value: Any, frame: Frame) -> Iterator[bool]:
        for answer in lefts(value, frame):
            if truthy(answer) is decides:
                yield decides
            else:
                for other in rights(value, frame):
                    yield truthy(other)

    return Code(many=stream)


def _alternative(left: Code, right: Code) -> Code:
    """`left // right`: the true outputs of the left, or else the right.

    The jq we ship lets errors of the left through; `.a? // 1` is how to write the other thing.
    """
    first, second = left.one, right.one
    if first is not None and second is not None:

        def single(value: Any, frame: Frame) -> Any:
            result = first(value, frame)
            return result if truthy(result) else second(value, frame)

        return Code(one=single)
    lefts, rights = left.stream(), right.stream()

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        found = False
        for item in lefts(value, frame):
            if truthy(item):
                found = True
                yield item
        if not found:
            yield from rights(value, frame)

    return Code(many=stream)
