"""The allow-list: which of jq's functions run in this process, and how. The rest is NotFast."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from workflow.expressions import filters, listfunctions, scalarfunctions
from workflow.expressions.combining import NotFast, applied, crossed, piped
from workflow.expressions.frame import Code, Frame
from workflow.expressions.syntax import Node

if TYPE_CHECKING:
    from workflow.expressions.compiler import Compiler, Place

_PLAIN: Final[dict[str, Callable[[Any, Frame], Any]]] = {
    "abs": scalarfunctions.absolute,
    "add": listfunctions.total,
    "all": listfunctions.all_of,
    "any": listfunctions.any_of,
    "ascii_downcase": scalarfunctions.downcase,
    "ascii_upcase": scalarfunctions.upcase,
    "ceil": scalarfunctions.rounded(math.ceil),
    "fabs": scalarfunctions.rounded(abs),
    "first": listfunctions.first,
    "flatten": listfunctions.flatten,
    "floor": scalarfunctions.rounded(math.floor),
    "from_entries": listfunctions.from_entries,
    "fromjson": scalarfunctions.parsed,
    "keys": listfunctions.keys,
    "keys_unsorted": listfunctions.keys_unsorted,
    "last": listfunctions.last,
    "length": scalarfunctions.length,
    "ltrim": scalarfunctions.ltrim,
    "max": listfunctions.maximum,
    "min": listfunctions.minimum,
    "not": scalarfunctions.negation,
    "reverse": listfunctions.reverse,
    "round": scalarfunctions.rounded(scalarfunctions.half_away),
    "rtrim": scalarfunctions.rtrim,
    "sort": listfunctions.sort,
    "sqrt": scalarfunctions.square_root,
    "to_entries": listfunctions.to_entries,
    "tojson": scalarfunctions.json_text,
    "tonumber": scalarfunctions.parsed_number,
    "tostring": scalarfunctions.text,
    "trim": scalarfunctions.trim,
    "trunc": scalarfunctions.rounded(math.trunc),
    "type": scalarfunctions.kind_of,
    "unique": listfunctions.unique,
    "utf8bytelength": scalarfunctions.utf8bytelength,
}
"""Of `.` alone."""

_WITH_VALUE: Final[dict[str, Callable[[Any, Any, Frame], Any]]] = {
    "contains": listfunctions.contains,
    "endswith": scalarfunctions.endswith,
    "flatten": listfunctions.flatten_to,
    "has": listfunctions.has,
    "index": listfunctions.first_index,
    "indices": listfunctions.indices,
    "join": listfunctions.join,
    "ltrimstr": scalarfunctions.ltrimstr,
    "nth": listfunctions.nth,
    "rindex": listfunctions.last_index,
    "rtrimstr": scalarfunctions.rtrimstr,
    "split": scalarfunctions.split,
    "startswith": scalarfunctions.startswith,
    "trimstr": scalarfunctions.trimstr,
}
"""Of `.` and one value."""

_WITH_FILTER: Final[dict[str, Callable[[Code], Code]]] = {
    "group_by": filters.grouped_by,
    "map": filters.mapped,
    "map_values": filters.map_values,
    "max_by": filters.maximum_by,
    "min_by": filters.minimum_by,
    "select": filters.selected,
    "sort_by": filters.sorted_by,
    "unique_by": filters.unique_by,
    "all": lambda test: filters.exists(filters.EACH, test, looks_for=False),
    "any": lambda test: filters.exists(filters.EACH, test, looks_for=True),
    "with_entries": lambda inner: applied(applied_to_entries(inner), listfunctions.from_entries),
    "in": filters.is_in,
    "inside": filters.is_inside,
}
"""A filter that is run on `.` or on parts of it."""

_WITH_SOURCE: Final[dict[str, Callable[[Code], Code]]] = {
    "add": filters.total_from,
    "error": filters.raised,
    "first": filters.first_of,
    "isempty": filters.is_empty,
    "last": filters.last_of,
}
"""A filter that is only run on `.`, and gives the values to work on."""

_SELECTORS: Final[dict[str, Callable[[Any], bool]]] = {
    "arrays": lambda value: type(value) is list,
    "booleans": lambda value: type(value) is bool,
    "iterables": lambda value: type(value) is list or type(value) is dict,
    "nulls": lambda value: value is None,
    "numbers": lambda value: type(value) is int or type(value) is float,
    "objects": lambda value: type(value) is dict,
    "scalars": lambda value: type(value) is not list and type(value) is not dict,
    "strings": lambda value: type(value) is str,
    "values": lambda value: value is not None,
}


def compile_call(
    compiler: "Compiler", name: str, arguments: tuple[Node, ...], place: "Place"
) -> Code:
    compiler.copies = True
    match arguments:
        case ():
            return _without_arguments(compiler, name, place)
        case (only,):
            return _with_one(compiler, name, only, place)
        case (source, condition) if name in ("any", "all"):
            return filters.exists(
                compiler.compile(source, place),
                compiler.compile(condition, place.inner()),
                looks_for=name == "any",
            )
        case (source, values) if name == "IN":
            return filters.is_among(
                compiler.compile(source, place), compiler.compile(values, place)
            )
        case _:
            raise NotFast


def applied_to_entries(inner: Code) -> Code:
    """`to_entries | map(inner)`."""
    return piped(Code(one=listfunctions.to_entries), filters.mapped(inner))


def _without_arguments(compiler: "Compiler", name: str, place: "Place") -> Code:
    if name == "empty":
        return filters.EMPTY
    if name == "error":
        return filters.raised(compiler.subject(place))
    plain = _PLAIN.get(name)
    if plain is not None:
        return applied(compiler.subject(place), plain)
    claim = _SELECTORS.get(name)
    if claim is not None:
        return piped(compiler.subject(place), filters.kept(claim))
    raise NotFast


def _with_one(compiler: "Compiler", name: str, argument: Node, place: "Place") -> Code:
    with_value = _WITH_VALUE.get(name)
    if with_value is not None:
        return crossed(compiler.subject(place), compiler.compile(argument, place), with_value)
    with_source = _WITH_SOURCE.get(name)
    if with_source is not None:
        return with_source(compiler.compile(argument, place))
    if name == "IN":
        values = compiler.compile(argument, place)
        return filters.is_among(compiler.subject(place), values)
    with_filter = _WITH_FILTER.get(name)
    if with_filter is not None:
        inner = with_filter(compiler.compile(argument, place.inner()))
        return piped(compiler.subject(place), inner)
    raise NotFast
