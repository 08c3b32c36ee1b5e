"""Filters on metadata: parsing what users write, and saying it in SQL.

    {"product": "boots", "year": {"$gte": 2024}, "$or": [{"region": "EU"}, {"tags": {"$in": ["vip"]}}]}

Operators: $eq $ne $gt $gte $lt $lte $in $nin $exists $and $or. Keys beside one another must all hold. A
field that holds a list matches `$eq` and `$in` when one of its elements does. `$ne` and `$nin` are the exact
opposites, so they also match documents that lack the field. Ordering compares numbers with numbers and
text with text; anything else does not match.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from common.errors import InvalidRequest, Violation

DEPTH_MAX = 8
CONDITIONS_MAX = 64
VALUES_MAX = 256

_ORDERINGS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_OPERATORS = "$eq $ne $gt $gte $lt $lte $in $nin $exists"


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    parts: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple["Filter", ...]


Filter = Condition | AllOf | AnyOf


def parse(filter: Any) -> Filter | None:
    """Raise `InvalidRequest` with a pointer to the place that is wrong. `None` and `{}` mean no filter."""
    if filter is None or filter == {}:
        return None
    parsed = _parse_object(filter, "/filter", depth=1)
    if _count(parsed) > CONDITIONS_MAX:
        raise _invalid("/filter", f"has more than {CONDITIONS_MAX} conditions; use fewer")
    return parsed


def _parse_object(value: Any, pointer: str, *, depth: int) -> Filter:
    if depth > DEPTH_MAX:
        raise _invalid(pointer, f"is nested deeper than {DEPTH_MAX}")
    if not isinstance(value, Mapping) or not value:
        raise _invalid(pointer, 'should be an object such as {"year": {"$gte": 2024}}')
    parts = [_parse_entry(key, entry, f"{pointer}/{key}", depth) for key, entry in value.items()]
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _parse_entry(key: str, value: Any, pointer: str, depth: int) -> Filter:
    if key in {"$and", "$or"}:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise _invalid(pointer, "should be a list of at least one filter")
        parts = tuple(
            _parse_object(part, f"{pointer}/{place}", depth=depth + 1)
            for place, part in enumerate(value)
        )
        return AllOf(parts) if key == "$and" else AnyOf(parts)
    if key.startswith("$"):
        raise _invalid(
            pointer,
            f"is not an operator here; on top there are $and and $or, under a field {_OPERATORS}",
        )
    return _parse_field(key, value, pointer)


def _parse_field(field: str, value: Any, pointer: str) -> Filter:
    if not _is_ordered(field):
        raise _invalid(pointer, "contains NUL characters or broken Unicode")
    if not isinstance(value, Mapping):
        return _condition(field, "$eq", value, pointer)
    if not value:
        raise _invalid(pointer, f"should name an operator: {_OPERATORS}")
    parts = [
        _condition(field, name, operand, f"{pointer}/{name}") for name, operand in value.items()
    ]
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _condition(field: str, operator: str, value: Any, pointer: str) -> Condition:
    match operator:
        case "$eq" | "$ne":
            valid, advice = _is_scalar(value), "a text, a number, a boolean or null"
        case "$gt" | "$gte" | "$lt" | "$lte":
            valid = _is_ordered(value) and not isinstance(value, bool)
            advice = "a number or a text"
        case "$in" | "$nin":
            valid = isinstance(value, list | tuple) and 0 < len(value) <= VALUES_MAX
            valid = valid and all(_is_scalar(item) for item in value)
            advice = f"a list of 1 to {VALUES_MAX} texts, numbers, booleans or nulls"
        case "$exists":
            valid, advice = isinstance(value, bool), "true or false"
        case _:
            raise _invalid(pointer, f"is not an operator; there are {_OPERATORS}")
    if not valid:
        raise _invalid(pointer, f"should be {advice}")
    return Condition(field, operator, value)


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool) or _is_ordered(value)


def _is_ordered(value: Any) -> bool:
    """A number or a text that PostgreSQL can hold: finite, 64 bits, no NUL, no lone surrogates."""
    try:
        return (
            isinstance(value, str | int | float)
            and orjson.dumps(value) != b"null"
            and "\0" not in str(value)
        )
    except TypeError:
        return False


def _count(filter: Filter) -> int:
    match filter:
        case Condition():
            return 1
        case AllOf(parts) | AnyOf(parts):
            return sum(_count(part) for part in parts)


def _invalid(pointer: str, detail: str) -> InvalidRequest:
    return InvalidRequest(
        f"The filter cannot be read: {pointer} {detail}.",
        code="invalid_filter",
        errors=[Violation(pointer, detail)],
    )


def to_sql(filter: Filter, column: str, bind: Callable[[Any], str]) -> str:
    """An SQL condition over the jsonb `column`. `bind` takes a value and answers its placeholder.

    Every condition is true or false, never null, so that `NOT` means the opposite.
    """
    match filter:
        case AllOf(parts):
            return "(" + " AND ".join(to_sql(part, column, bind) for part in parts) + ")"
        case AnyOf(parts):
            return "(" + " OR ".join(to_sql(part, column, bind) for part in parts) + ")"
        case Condition(field, operator, value):
            key = f"{bind(field)}::text"
            return _condition_sql(
                f"({column} -> {key})", f"({column} ? {key})", operator, value, bind
            )


def _condition_sql(
    place: str, exists: str, operator: str, value: Any, bind: Callable[[Any], str]
) -> str:
    match operator:
        case "$exists":
            return exists if value else f"(NOT {exists})"
        case "$eq":
            return _one_of(place, [value], bind)
        case "$ne":
            return f"(NOT {_one_of(place, [value], bind)})"
        case "$in":
            return _one_of(place, value, bind)
        case "$nin":
            return f"(NOT {_one_of(place, value, bind)})"
        case _:
            literal = f"{bind(_json(value))}::text::jsonb"
            same_type = f"jsonb_typeof({place}) = jsonb_typeof({literal})"
            return f"coalesce({same_type} AND {place} {_ORDERINGS[operator]} {literal}, false)"


def _one_of(place: str, values: Sequence[Any], bind: Callable[[Any], str]) -> str:
    # Containment of a scalar is equality, and membership where the field holds a list.
    literals = bind([_json(value) for value in values])
    return f"coalesce({place} @> ANY ({literals}::text[]::jsonb[]), false)"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
