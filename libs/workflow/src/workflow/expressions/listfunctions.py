"""jq's functions on arrays and objects. Each takes the value, its argument, the frame."""

from typing import Any

from workflow.expressions.errors import JqError, NeedsWorker
from workflow.expressions.frame import Frame
from workflow.expressions.operators import add
from workflow.expressions.paths import each, index
from workflow.expressions.values import equal, sort_key, to_text, truthy, type_name


def keys_unsorted(value: Any, frame: Frame) -> list[Any]:
    if type(value) is not dict and type(value) is not list:
        raise JqError(f"{type_name(value)} has no keys")
    frame.charge(len(value))
    return list(value) if type(value) is dict else list(range(len(value)))


def keys(value: Any, frame: Frame) -> list[Any]:
    return sorted(keys_unsorted(value, frame))


def has(value: Any, key: Any, _frame: Frame) -> bool:
    if value is None:
        return False
    if type(value) is dict and type(key) is str:
        return key in value
    if type(value) is list and type(key) in (int, float):
        return bool(0 <= key < len(value))
    raise JqError(f"cannot check whether {type_name(value)} has a {type_name(key)} key")


def contains(value: Any, part: Any, frame: Frame) -> bool:
    same = type(value) is type(part) or {type(value), type(part)} == {int, float}
    if not same or (type(value) is bool and value is not part):
        raise JqError(f"{type_name(value)} cannot contain {type_name(part)}")
    return _holds(value, part, frame)


def _holds(value: Any, part: Any, frame: Frame) -> bool:
    kind = type(value)
    frame.charge(1)
    if kind is type(part):
        if kind is dict:
            return all(
                name in value and _holds(value[name], wanted, frame)
                for name, wanted in part.items()
            )
        if kind is list:
            return all(any(_holds(item, wanted, frame) for item in value) for wanted in part)
        if kind is str:
            frame.charge(len(value) >> 6)
            return part in value
    return equal(value, part, frame)


def total(value: Any, frame: Frame) -> Any:
    """`add`. Strings and arrays are joined at once, so that the cost stays linear."""
    return total_of(list(each(value, frame)), frame)


def total_of(items: list[Any], frame: Frame) -> Any:
    if len(items) > 2 and all(type(item) is str for item in items):
        frame.charge(sum(map(len, items)) >> 6)
        return "".join(items)
    if len(items) > 2 and all(type(item) is list for item in items):
        frame.charge(sum(map(len, items)))
        return [element for item in items for element in item]
    if len(items) > 2 and all(type(item) is dict for item in items):
        merged: dict[str, Any] = {}
        for item in items:
            frame.charge(len(item))
            merged.update(item)
        return merged
    result: Any = None
    for item in items:
        result = add(result, item, frame)
    return result


def any_of(value: Any, frame: Frame) -> bool:
    return any(map(truthy, each(value, frame)))


def all_of(value: Any, frame: Frame) -> bool:
    return all(map(truthy, each(value, frame)))


def first(value: Any, _frame: Frame) -> Any:
    return index(value, 0)


def last(value: Any, _frame: Frame) -> Any:
    return index(value, -1)


def nth(value: Any, at: Any, _frame: Frame) -> Any:
    return index(value, at)


def sort(value: Any, frame: Frame) -> list[Any]:
    return sorted(_array(value, "sorted", frame), key=lambda item: sort_key(item, frame))


def unique(value: Any, frame: Frame) -> list[Any]:
    keyed = sorted(
        ((sort_key(item, frame), item) for item in _array(value, "made unique", frame)),
        key=lambda pair: pair[0],
    )
    return [item for at, (key, item) in enumerate(keyed) if at == 0 or keyed[at - 1][0] != key]


def minimum(value: Any, frame: Frame) -> Any:
    items = _array(value, "searched", frame)
    return min(items, key=lambda item: sort_key(item, frame), default=None)


def maximum(value: Any, frame: Frame) -> Any:
    """The last of equals."""
    items = _array(value, "searched", frame)
    return max(reversed(items), key=lambda item: sort_key(item, frame), default=None)


def reverse(value: Any, frame: Frame) -> list[Any]:
    if value is None:
        return []
    if type(value) is not list:
        raise NeedsWorker
    frame.charge(len(value))
    return value[::-1]


def to_entries(value: Any, frame: Frame) -> list[dict[str, Any]]:
    return [{"key": key, "value": value[key]} for key in keys_unsorted(value, frame)]


def from_entries(value: Any, frame: Frame) -> dict[str, Any]:
    built: dict[str, Any] = {}
    for entry in each(value, frame):
        if type(entry) is not dict:
            raise JqError(f"an entry must be an object, not {type_name(entry)}")
        named = (entry.get(name) for name in ("key", "Key", "name", "Name"))
        key = next(filter(truthy, named), None)
        if type(key) is not str:
            if key is None and entry.get("Name") is False:
                raise NeedsWorker
            raise JqError(f"{type_name(key)} cannot be the key of an entry")
        built[key] = entry["value"] if "value" in entry else entry.get("Value")
    return built


def flatten(value: Any, frame: Frame) -> list[Any]:
    return _flattened(value, -1, frame)


def flatten_to(value: Any, depth: Any, frame: Frame) -> list[Any]:
    if type(depth) is not int:
        raise NeedsWorker
    if depth < 0:
        raise JqError("flatten depth must not be negative")
    return _flattened(value, depth, frame)


def _flattened(value: Any, depth: int, frame: Frame) -> list[Any]:
    flat: list[Any] = []
    for item in each(value, frame):
        if type(item) is list and depth != 0:
            flat.extend(_flattened(item, depth - 1, frame))
        else:
            flat.append(item)
    return flat


def join(value: Any, separator: Any, frame: Frame) -> str:
    if type(separator) is not str:
        raise NeedsWorker
    pieces = [_joinable(item, frame) for item in each(value, frame)]
    frame.charge((sum(map(len, pieces)) + len(separator) * len(pieces)) >> 6)
    return separator.join(pieces)


def _joinable(item: Any, frame: Frame) -> str:
    if type(item) is str:
        return item
    if item is None:
        return ""
    if type(item) is list or type(item) is dict:
        raise JqError(f"{type_name(item)} cannot be joined")
    return to_text(item, frame)


def indices(value: Any, wanted: Any, frame: Frame) -> list[int]:
    if type(value) is list and type(wanted) is not list:
        frame.charge(len(value))
        return [at for at, item in enumerate(value) if equal(item, wanted, frame)]
    if type(value) is not str or type(wanted) is not str or not wanted:
        raise NeedsWorker
    found: list[int] = []
    at = value.find(wanted)
    while at >= 0:
        frame.charge(1)
        found.append(at)
        at = value.find(wanted, at + 1)
    frame.charge(len(value) >> 6)
    return found


def first_index(value: Any, wanted: Any, frame: Frame) -> int | None:
    found = indices(value, wanted, frame)
    return found[0] if found else None


def last_index(value: Any, wanted: Any, frame: Frame) -> int | None:
    found = indices(value, wanted, frame)
    return found[-1] if found else None


def _array(value: Any, done: str, frame: Frame) -> list[Any]:
    if type(value) is not list:
        raise JqError(f"{type_name(value)} cannot be {done}: it is not an array")
    frame.charge(len(value))
    return value
