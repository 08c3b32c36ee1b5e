"""Whether checking a value against a JSON Schema takes a bounded time.

References make a short schema long: thirty definitions that each refer twice to the next are a billion checks. And one that
refers to itself twice for the same part of a value doubles its work with every level of that value. Checks cannot be
interrupted, so both are refused. The schema is taken apart into its pieces (itself, and whatever is referred to), each with
the references in it and the place in the value where they apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

CHECKS_MAX: Final = 100_000
"""Of a schema with all references written out. That many take some ten milliseconds."""

RECURSIONS_MAX: Final = 500
"""References of one piece that lead back to it."""

_HERE: Final = ("not", "if", "then", "else")
_HERE_LISTS: Final = ("allOf", "anyOf", "oneOf")
_HERE_MAPS: Final = ("dependentSchemas", "dependencies")
_MEMBERS: Final = ("additionalProperties", "unevaluatedProperties")
_ITEMS: Final = ("items", "prefixItems", "contains", "additionalItems", "unevaluatedItems")
_DYNAMIC: Final = ("$dynamicRef", "$recursiveRef")

Step = tuple[str, str]
"""One step into the value: the kind, and the member's name or nothing for any."""
Path = tuple[Step, ...]

_ANY_MEMBER: Final = ("member", "")
_ANY_ITEM: Final = ("item", "")
_NAME: Final = ("name", "")


class Unbounded(ValueError):
    """Says why the time for a check is not bounded."""


@dataclass(slots=True)
class _Piece:
    size: int = 0
    references: list[tuple[str, Path]] = field(default_factory=list)


def refuse_unbounded(schema: Any) -> None:
    """Raise `Unbounded`, if checks against this schema may take very long."""
    pieces = _pieces(schema)
    costs: dict[str, int] = {}
    for circle in _circles(pieces):
        inside = set(circle)
        cost = 0
        for name in circle:
            own = [path for target, path in pieces[name].references if target in inside]
            _refuse_doubling(own)
            cost += pieces[name].size
            cost += sum(costs[target] for target, _ in pieces[name].references if target in costs)
        if cost > CHECKS_MAX:
            raise Unbounded(
                f"with its references written out it has more than {CHECKS_MAX:,} parts"
            )
        costs.update(dict.fromkeys(circle, cost))
    _refuse_standing_still(pieces)


def _pieces(schema: Any) -> dict[str, _Piece]:
    found: dict[str, _Piece] = {}
    wanted = ["#"]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        piece = found[name] = _Piece()
        _collect(_resolve(schema, name), (), piece, whole=name == "#")
        wanted.extend(target for target, _ in piece.references)
    return found


def _collect(node: Any, path: Path, piece: _Piece, *, whole: bool) -> None:
    piece.size += 1
    if not isinstance(node, Mapping):
        return
    if any(word in node for word in _DYNAMIC):
        raise Unbounded("it has dynamic references; use `$ref`")
    if not whole and _has_base(node):
        raise Unbounded("it has an `$id` inside; references are followed from the whole schema")
    if isinstance(reference := node.get("$ref"), str):
        piece.references.append((reference, path))
    for inner, step in _inside(node):
        _collect(inner, path if step is None else (*path, step), piece, whole=False)


def _has_base(node: Mapping[str, Any]) -> bool:
    return isinstance(node.get("$id"), str) or isinstance(node.get("id"), str)


def _inside(node: Mapping[str, Any]) -> Iterator[tuple[Any, Step | None]]:
    """The schemas directly in a schema, and where in the value each applies; None: to the value itself."""
    for word in _HERE:
        if word in node:
            yield node[word], None
    for word in _HERE_LISTS:
        yield from ((inner, None) for inner in _list(node.get(word)))
    for word in _HERE_MAPS:
        yield from ((inner, None) for inner in _map(node.get(word)).values())
    for name, inner in _map(node.get("properties")).items():
        yield inner, ("member", name)
    for inner in _map(node.get("patternProperties")).values():
        yield inner, _ANY_MEMBER
    for word in _MEMBERS:
        if word in node:
            yield node[word], _ANY_MEMBER
    for word in _ITEMS:
        inner = node.get(word)
        yield from (
            (each, _ANY_ITEM) for each in (inner if isinstance(inner, list) else _one(inner))
        )
    if "propertyNames" in node:
        yield node["propertyNames"], _NAME


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _one(value: Any) -> Sequence[Any]:
    return () if value is None else (value,)


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _resolve(schema: Any, reference: str) -> Any:
    """What a reference leads to; what leads nowhere is told when the schema is compiled."""
    if reference == "#":
        return schema
    if reference.startswith("#/"):
        node = schema
        for part in reference[2:].split("/"):
            key = _unescaped(part)
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list) and key.isdecimal() and int(key) < len(node):
                node = node[int(key)]
            else:
                return None
        return node
    shown = repr(reference[:100])
    if not reference.startswith("#"):
        raise Unbounded(f"{shown} is outside the document")
    raise Unbounded(f"it refers to {shown}; refer to its own parts by a pointer, as `#/$defs/…`")


def _unescaped(part: str) -> str:
    return unquote(part).replace("~1", "/").replace("~0", "~")


def _refuse_doubling(paths: Sequence[Path]) -> None:
    """Two ways from a piece back to itself for the same part of a value."""
    if len(paths) > RECURSIONS_MAX:
        raise Unbounded(f"a part of it refers to itself in more than {RECURSIONS_MAX} places")
    for position, one in enumerate(paths):
        for other in paths[:position]:
            if all(_meet(mine, theirs) for mine, theirs in zip(one, other, strict=False)):
                raise Unbounded(
                    "a part of it refers to itself twice for the same part of a value, so the work doubles with every level"
                )


def _meet(one: Step, other: Step) -> bool:
    return one[0] == other[0] and (one[1] == other[1] or not one[1] or not other[1])


def _refuse_standing_still(pieces: Mapping[str, _Piece]) -> None:
    still = {
        name: _Piece(0, [(target, path) for target, path in piece.references if not path])
        for name, piece in pieces.items()
    }
    for circle in _circles(still):
        name = circle[0]
        if len(circle) > 1 or any(target == name for target, _ in still[name].references):
            raise Unbounded("a part of it refers to itself without going into the value")


def _circles(pieces: Mapping[str, _Piece]) -> Iterator[list[str]]:
    """Strongly connected pieces, those that are referred to first (Tarjan, without recursion)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: dict[str, None] = {}
    for start in pieces:
        if start in order:
            continue
        path = [(start, iter(pieces[start].references))]
        order[start] = lowest[start] = len(order)
        stack[start] = None
        while path:
            name, following = path[-1]
            target = next((each for each, _ in following), None)
            if target is None:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[name])
                if lowest[name] == order[name]:
                    yield _cut(stack, name)
            elif target not in order:
                path.append((target, iter(pieces[target].references)))
                order[target] = lowest[target] = len(order)
                stack[target] = None
            elif target in stack:
                lowest[name] = min(lowest[name], order[target])


def _cut(stack: dict[str, None], name: str) -> list[str]:
    circle: list[str] = []
    while not circle or circle[-1] != name:
        circle.append(stack.popitem()[0])
    return circle
