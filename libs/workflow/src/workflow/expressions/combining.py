"""Ways of putting compiled code together that many constructs share."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from workflow.expressions.errors import JqError, NeedsWorker
from workflow.expressions.frame import Code, Frame, Many, One
from workflow.expressions.values import to_text


class NotFast(Exception):
    """This construct has no bounded cost, or no exact counterpart here: a worker's business."""


def applied(subject: Code, function: Callable[[Any, Frame], Any]) -> Code:
    """`subject | function`."""
    one, many = subject.one, subject.many
    if one is not None:
        return Code(one=lambda value, frame: function(one(value, frame), frame))
    assert many is not None

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for item in many(value, frame):
            yield function(item, frame)

    return Code(many=stream)


def crossed(left: Code, right: Code, operation: Callable[[Any, Any, Frame], Any]) -> Code:
    """Every pair of outputs; the right one varies slowest."""
    first, second = left.one, right.one
    if first is not None and second is not None:
        return Code(
            one=lambda value, frame: operation(first(value, frame), second(value, frame), frame)
        )
    lefts, rights = left.stream(), right.stream()

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for other in rights(value, frame):
            for item in lefts(value, frame):
                yield operation(item, other, frame)

    return Code(many=stream)


def piped(left: Code, right: Code) -> Code:
    first, second = left.one, right.one
    if first is not None and second is not None:
        return Code(one=lambda value, frame: second(first(value, frame), frame))
    if first is not None:
        many = right.stream()
        return Code(many=lambda value, frame: many(first(value, frame), frame))
    if second is not None:
        return applied(left, second)
    lefts, rights = left.stream(), right.stream()

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for item in lefts(value, frame):
            yield from rights(item, frame)

    return Code(many=stream)


def listed(codes: list[Code]) -> Code:
    """`a, b, c`."""
    if all(code.one is not None for code in codes):
        ones = [code.one for code in codes if code.one is not None]
        return Code(many=lambda value, frame: (one(value, frame) for one in ones))
    streams = [code.stream() for code in codes]

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        for many in streams:
            yield from many(value, frame)

    return Code(many=stream)


def collected(code: Code) -> Code:
    """`[code]`."""
    one, many = code.one, code.many
    if one is not None:
        return Code(one=lambda value, frame: [one(value, frame)])
    assert many is not None
    return Code(one=lambda value, frame: list(many(value, frame)))


def forgiven(code: Code) -> Code:
    """`code?`: the outputs up to the first error."""
    one, many = code.one, code.many
    if one is not None:

        def single(value: Any, frame: Frame) -> Iterable[Any]:
            try:
                return (one(value, frame),)
            except JqError:
                return ()

        return Code(many=single)
    assert many is not None

    def stream(value: Any, frame: Frame) -> Iterator[Any]:
        try:
            yield from many(value, frame)
        except JqError:
            return

    return Code(many=stream)


def object_of(entries: list[tuple[Code | str, Code]]) -> Code:
    """`{…}`. A name that is known when compiling is a plain string."""
    fixed = [
        (name, code.one) for name, code in entries if isinstance(name, str) and code.one is not None
    ]
    if len(fixed) == len(entries):
        return Code(one=lambda value, frame: {name: one(value, frame) for name, one in fixed})
    streams = [(_name_stream(name), code.stream()) for name, code in entries]

    def build(value: Any, frame: Frame) -> Iterator[Any]:
        return _objects(streams, {}, value, frame)

    if all(isinstance(name, str) or name.one is not None for name, _ in entries) and all(
        code.one is not None for _, code in entries
    ):
        return Code(one=lambda value, frame: next(build(value, frame)))
    return Code(many=build)


def _name_stream(name: Code | str) -> Many:
    return name.stream() if isinstance(name, Code) else (lambda _value, _frame: (name,))


def _objects(
    streams: list[tuple[Many, Many]], begun: dict[str, Any], value: Any, frame: Frame
) -> Iterator[dict[str, Any]]:
    if not streams:
        yield begun
        return
    names, values = streams[0]
    for name in names(value, frame):
        if type(name) is not str:
            raise JqError("property names must be strings")
        for item in values(value, frame):
            frame.charge(len(begun) >> 3)
            yield from _objects(streams[1:], {**begun, name: item}, value, frame)


def joined_text(parts: list[Code | str], spell: Callable[[Any, Frame], str] = to_text) -> Code:
    """A string with interpolations; the last one varies slowest."""
    if all(isinstance(part, str) or part.one is not None for part in parts):
        return Code(one=_text(parts, spell))
    streams = [part.stream() if isinstance(part, Code) else part for part in parts]

    def stream(value: Any, frame: Frame) -> Iterator[str]:
        return _texts(streams, "", value, frame, spell)

    return Code(many=stream)


def _text(parts: list[Code | str], spell: Callable[[Any, Frame], str]) -> One:
    pieces = [part if isinstance(part, str) else part.one for part in parts]

    def run(value: Any, frame: Frame) -> str:
        text = "".join(
            [
                piece if isinstance(piece, str) else spell(piece(value, frame), frame)
                for piece in pieces
                if piece is not None
            ]
        )
        frame.charge(len(text) >> 6)
        return text

    return run


def _texts(
    streams: list[Many | str], tail: str, value: Any, frame: Frame,
    spell: Callable[[Any, Frame], str],
) -> Iterator[str]:  # fmt: skip
    if not streams:
        yield tail
        return
    last = streams[-1]
    for item in (last,) if isinstance(last, str) else last(value, frame):
        text = (item if isinstance(last, str) else spell(item, frame)) + tail
        frame.charge(len(text) >> 6)
        yield from _texts(streams[:-1], text, value, frame, spell)


def refuse_growth(value: Any, limit: int) -> None:
    """Raise NeedsWorker when `value`, written out, would take more than `limit` units.

    Parts may be shared many times over, so a small structure in memory can be a huge document.
    """
    units = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is str:
            units += len(item) >> 7
        elif kind is list:
            units += len(item)
            waiting.extend(item)
        elif kind is dict:
            units += len(item)
            waiting.extend(item.values())
        if units > limit:
            raise NeedsWorker
