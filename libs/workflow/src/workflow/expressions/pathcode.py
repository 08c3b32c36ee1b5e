"""Compiled paths: single steps over streams, and runs of names in one function."""

from collections.abc import Iterable, Iterator
from typing import Any

from workflow.expressions.combining import crossed
from workflow.expressions.errors import JqError
from workflow.expressions.frame import Code, Frame, One
from workflow.expressions.paths import each, index, section


def fields_of(names: tuple[str, ...], *, root: bool = False, variable: str | None = None) -> One:
    """`.a.b.c`, of what `.` is here, of the outermost `.`, or of a variable."""

    def descend(target: Any) -> Any:
        for name in names:
            if type(target) is dict:
                target = target.get(name)
            elif target is not None:
                target = index(target, name)
        return target

    if variable is not None:
        return lambda _value, frame: descend(frame.variable(variable))
    if root:
        return lambda _value, frame: descend(frame.current())
    return lambda value, _frame: descend(value)


def indexed(target: Code, key: Code, *, optional: bool) -> Code:
    """`target[key]`; the key varies slowest, and `?` covers this step only."""
    if not optional:
        return crossed(target, key, lambda item, at, _budget: index(item, at))
    targets, keys = target.stream(), key.stream()

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for at in keys(value, frame):
            for item in targets(value, frame):
                try:
                    found = index(item, at)
                except JqError:
                    continue
                yield found

    return Code(many=stream)


def sliced(target: Code, start: Code, stop: Code, *, optional: bool) -> Code:
    first, second, third = target.one, start.one, stop.one
    if first is not None and second is not None and third is not None and not optional:
        return Code(
            one=lambda value, frame: section(
                first(value, frame), second(value, frame), third(value, frame), frame
            )
        )
    targets, starts, stops = target.stream(), start.stream(), stop.stream()

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for begin in starts(value, frame):
            for end in stops(value, frame):
                for item in targets(value, frame):
                    try:
                        found = section(item, begin, end, frame)
                    except JqError:
                        if optional:
                            continue
                        raise
                    yield found

    return Code(many=stream)


def iterated(target: Code, *, optional: bool) -> Code:
    """`target[]`."""
    one = target.one
    if one is not None and not optional:
        return Code(many=lambda value, frame: each(one(value, frame), frame))
    targets = target.stream()

    def items(item: Any, frame: Frame) -> Iterable[Any]:
        try:
            return each(item, frame)
        except JqError:
            if optional:
                return ()
            raise

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for item in targets(value, frame):
            yield from items(item, frame)

    return Code(many=stream)
