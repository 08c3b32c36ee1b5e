"""Which events a listener takes: attributes, data, correlation. Compiled once, decided deterministically.

A property of a filter is compared with the same property of the event. An object matches if each of its members does,
so `data: {status: paid}` says nothing about other members. In an expression `.` is the value at that place: true and
false decide, anything else is compared with it. An expression that fails on what somebody sent matches nothing; the event
is no fault of the workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from workflow.core.effects import Interest
from workflow.core.errors import TaskFault
from workflow.core.formulas import Reads, bare, template
from workflow.core.nodes import Correlation, EventFilter, Formula
from workflow.core.values import Json
from workflow.expressions import Expression, ExpressionFailed, compile_bare, is_expression

INDEXED_BYTES_MAX = 200
"""Programs in an index must not be long."""

CORRELATED_BYTES_MAX = 1024
"""Values that events are correlated by live in the snapshot: identifiers, not documents."""

Evaluate = Callable[[Formula, Json], Json]


@dataclass(frozen=True, slots=True)
class Fit:
    """An event passed a filter; these are the values that it is correlated by."""

    correlated: dict[str, Json]


def filter_of(given: Mapping[str, Json], reads: Reads) -> EventFilter:
    """Compile an event filter of the document."""
    wanted = given["with"]
    type = wanted.get("type")
    return EventFilter(
        attributes=tuple((name, _pattern(value, reads)) for name, value in wanted.items()),
        type=type if isinstance(type, str) and "${" not in type else "",
        correlations=tuple(
            _correlation(name, each, reads) for name, each in (given.get("correlate") or {}).items()
        ),
    )


ANYTHING = EventFilter((), "", ())
"""What an empty `any` listens for."""


def fit(
    filter: EventFilter,
    event: Mapping[str, Json],
    evaluate: Evaluate,
    *,
    expected: Mapping[str, Json],
    shared: Mapping[str, Json],
) -> Fit | None:
    """Whether the filter takes the event. `expected` are its own expectations, `shared` those that earlier events fixed."""
    try:
        for name, matches in filter.attributes:
            if name not in event or not matches(event[name], evaluate):
                return None
        return _correlate(filter, event, evaluate, expected, shared)
    except TaskFault:
        return None


def _correlate(
    filter: EventFilter,
    event: Mapping[str, Json],
    evaluate: Evaluate,
    expected: Mapping[str, Json],
    shared: Mapping[str, Json],
) -> Fit | None:
    found: dict[str, Json] = {}
    for correlation in filter.correlations:
        value = evaluate(correlation.source, event)
        if value is None or not is_correlatable(value):
            return None
        name = correlation.name
        for wanted in (each[name] for each in (expected, shared) if name in each):
            if not _agrees(value, wanted, loosely=correlation.is_constant):
                return None
        found[name] = value
    return Fit(found)


def _agrees(value: Json, wanted: Json, *, loosely: bool) -> bool:
    """A constant in a document is a text, so it stands for the number that it spells, too."""
    return _equal(value, wanted) or (loosely and _text(value) == _text(wanted))


def is_correlatable(value: Json) -> bool:
    return len(orjson.dumps(value)) <= CORRELATED_BYTES_MAX


def interest_of(filter: EventFilter, expected: Mapping[str, Json]) -> Interest:
    """What the host may index: the event's type, and one value that it must be correlated by."""
    for correlation in filter.correlations:
        if correlation.text and correlation.name in expected:
            wanted = expected[correlation.name]
            return Interest(filter.type, correlation.text, fingerprint(wanted))
    return Interest(filter.type)


def concerns(interest: Interest, event: Mapping[str, Json]) -> bool:
    """Whether an event may be for whoever has this interest."""
    if interest.type not in {"", event["type"]}:
        return False
    if not interest.correlation:
        return True
    return correlation_fingerprint(interest.correlation, event) in {None, interest.expected}


def fingerprint(value: Json) -> str:
    """Equal for values that may agree. Only narrows the search: the filter itself decides."""
    return blake2b(_text(value).encode(), digest_size=12).hexdigest()


def correlation_fingerprint(text: str, event: Mapping[str, Json]) -> str | None:
    """The same for the value that `correlate.from` reads from an event; None if that cannot be told here."""
    expression = compile_bare(text)
    try:
        return fingerprint(expression.evaluate(_EventScope(event)))
    except (_Slow, ExpressionFailed):
        return None


class _Slow(Exception):
    """Not for this process."""


class _EventScope:
    def __init__(self, event: Mapping[str, Json]) -> None:
        self._event = event

    def current(self) -> Json:
        return self._event

    def variable(self, name: str) -> Json:
        raise ExpressionFailed(f"the variable ${name} is not defined here")

    def slow(self, expression: Expression) -> Json:
        raise _Slow(expression.source)


def _correlation(name: str, given: Mapping[str, Json], reads: Reads) -> Correlation:
    expect = given.get("expect")
    source = compile_bare(given["from"])
    return Correlation(
        name=name,
        source=bare(given["from"], reads),
        text=source.source if _is_indexable(source) else "",
        expected=None if expect is None else template(expect, reads),
        is_constant=isinstance(expect, str) and "${" not in expect,
    )


def _is_indexable(source: Expression) -> bool:
    is_short = len(source.source.encode()) <= INDEXED_BYTES_MAX
    return source.is_fast and not source.variables and is_short


def _pattern(wanted: Json, reads: Reads) -> Callable[[Json, Evaluate], bool]:
    if isinstance(wanted, dict):
        return _members({name: _pattern(each, reads) for name, each in wanted.items()})
    if isinstance(wanted, str) and "${" in wanted:
        return _evaluated(template(wanted, reads), decides=is_expression(wanted))
    return lambda actual, _evaluate: _equal(actual, wanted)


def _members(
    patterns: Mapping[str, Callable[[Json, Evaluate], bool]],
) -> Callable[[Json, Evaluate], bool]:
    def matches(actual: Json, evaluate: Evaluate) -> bool:
        return isinstance(actual, dict) and all(
            name in actual and pattern(actual[name], evaluate) for name, pattern in patterns.items()
        )

    return matches


def _evaluated(formula: Formula, *, decides: bool) -> Callable[[Json, Evaluate], bool]:
    def matches(actual: Json, evaluate: Evaluate) -> bool:
        result = evaluate(formula, actual)
        if decides and isinstance(result, bool):
            return result
        return _equal(actual, result)

    return matches


def _equal(one: Json, other: Json) -> bool:
    """As JSON has it: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _text(value: Json) -> str:
    """The spelling of a value; a whole number is spelled the same however it was written."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (
        value
        if isinstance(value, str)
        else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    )
