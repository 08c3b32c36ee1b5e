"""jq's functions that take filters: `map(f)`, `select(f)`, `sort_by(f)` and their like."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Any

from workflow.expressions.combining import applied, collected, crossed, piped
from workflow.expressions.errors import JqError
from workflow.expressions.frame import Code, Frame, Many
from workflow.expressions.listfunctions import contains, has, total_of
from workflow.expressions.paths import each
from workflow.expressions.values import equal, sort_key, to_json, truthy, type_name

EACH = Code(many=each)
"""`.[]`."""
EMPTY = Code(many=lambda _value, _frame: ())


def mapped(inner: Code) -> Code:
    """`[.[] | inner]`."""
    one = inner.one
    if one is None:
        return collected(piped(EACH, inner))
    return Code(one=lambda value, frame: [one(item, frame) for item in each(value, frame)])


def selected(condition: Code) -> Code:
    test = condition.one
    if test is not None:
        return Code(many=lambda value, frame: (value,) if truthy(test(value, frame)) else ())
    tests = condition.stream()
    return Code(many=lambda value, frame: (value for t in tests(value, frame) if truthy(t)))


def kept(claim: Callable[[Any], bool]) -> Code:
    """`values`, `strings` and so on."""
    return Code(many=lambda value, _frame: (value,) if claim(value) else ())


def exists(source: Code, condition: Code, *, looks_for: bool) -> Code:
    """`any` looks for true, `all` for false, and both stop at the first."""
    stream = piped(source, condition).stream()

    def run(value: Any, frame: Frame) -> bool:
        found = any(truthy(item) is looks_for for item in stream(value, frame))
        return found is looks_for

    return Code(one=run)


def is_empty(source: Code) -> Code:
    stream = source.stream()

    def run(value: Any, frame: Frame) -> bool:
        return not any(True for _ in stream(value, frame))

    return Code(one=run)


def first_of(source: Code) -> Code:
    if source.one is not None:
        return source
    stream = source.stream()

    def run(value: Any, frame: Frame) -> Iterable[Any]:
        for item in stream(value, frame):
            return (item,)
        return ()

    return Code(many=run)


def last_of(source: Code) -> Code:
    if source.one is not None:
        return source
    stream = source.stream()
    return Code(many=lambda value, frame: list(stream(value, frame))[-1:])


def total_from(source: Code) -> Code:
    """`add(f)`."""
    return applied(collected(source), total_of)


def map_values(inner: Code) -> Code:
    """The first output for each value; a value without one is taken out."""
    stream = inner.stream()

    def run(value: Any, frame: Frame) -> Any:
        each(value, frame)  # Refuses what has no values.
        if type(value) is dict:
            return {
                name: result
                for name, item in value.items()
                for result in _first(stream, item, frame)
            }
        return [result for item in value for result in _first(stream, item, frame)]

    return Code(one=run)


def sorted_by(inner: Code) -> Code:
    return _keyed(inner, lambda pairs: [item for _, item in pairs])


def grouped_by(inner: Code) -> Code:
    return _keyed(
        inner,
        lambda pairs: [
            [item for _, item in group] for _, group in groupby(pairs, key=lambda pair: pair[0])
        ],
    )


def unique_by(inner: Code) -> Code:
    return _keyed(
        inner, lambda pairs: [next(group)[1] for _, group in groupby(pairs, key=lambda p: p[0])]
    )


def minimum_by(inner: Code) -> Code:
    return _keyed(inner, lambda pairs: pairs[0][1] if pairs else None)


def maximum_by(inner: Code) -> Code:
    return _keyed(inner, lambda pairs: pairs[-1][1] if pairs else None)


def is_in(source: Code) -> Code:
    """`in(f)`: whether what `f` gives has this key."""
    return crossed(Code(one=lambda value, _frame: value), source, lambda k, v, f: has(v, k, f))


def is_inside(source: Code) -> Code:
    return crossed(
        Code(one=lambda value, _frame: value), source, lambda part, v, f: contains(v, part, f)
    )


def is_among(source: Code, values: Code) -> Code:
    """`IN(source; values)`."""
    sources, others = source.stream(), values.stream()

    def run(value: Any, frame: Frame) -> bool:
        return any(
            equal(item, other, frame)
            for other in others(value, frame)
            for item in sources(value, frame)
        )

    return Code(one=run)


def raised(message: Code) -> Code:
    def fail(value: Any, frame: Frame) -> Any:
        raise JqError(value if type(value) is str else _described(value, frame))

    return applied(message, fail)


def _described(value: Any, frame: Frame) -> str:
    return f"the expression raised {type_name(value)} {to_json(value, frame)[:200]}"


def _first(stream: Many, item: Any, frame: Frame) -> Iterator[Any]:
    for result in stream(item, frame):
        yield result
        return


def _keyed(inner: Code, pick: Callable[[list[tuple[Any, Any]]], Any]) -> Code:
    """Sort by what `inner` gives for each item, equals in their old order; then pick."""
    stream = inner.stream()

    def run(value: Any, frame: Frame) -> Any:
        if type(value) is not list:
            raise JqError(f"{type_name(value)} cannot be sorted or grouped: it is not an array")
        pairs = [
            ([sort_key(key, frame) for key in stream(item, frame)], item)
            for item in each(value, frame)
        ]
        pairs.sort(key=lambda pair: pair[0])
        return pick(pairs)

    return Code(one=run)
