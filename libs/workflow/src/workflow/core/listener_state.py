"""What a `listen` task remembers: what it has consumed, what its iterations came to, and what it is doing.

What was consumed may become much. Past a handful the values are stored one by one under ids that follow from frame and
position, so the state holds a count, and consuming one more event costs the same however many came before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import reduce

import orjson

from workflow.core.extras import Packer, Unpacker
from workflow.core.state import State, derived_id
from workflow.core.values import Json, Reference, Value, together

INLINE_MAX = 8
"""Up to so many values keep their place in the state."""


class Stage(IntEnum):
    IDLE = 0
    """Ready for the next event."""
    ACCEPTED = 1
    """An event was consumed; its iteration is to begin."""
    ITERATING = 2
    """The tasks of `foreach` are running on it."""
    ENDED = 3
    """They have come to their end; `value` of the frame is their output."""
    SETTLING = 4
    """To decide whether to go on listening."""


class Series:
    """A list that only grows."""

    __slots__ = ("_envelopes", "_items", "_saved", "count", "name")

    def __init__(self, name: str, count: int = 0) -> None:
        self.name = name
        self.count = count
        self._items: dict[int, Value] = {}
        self._saved = count
        """How many of them are stored one by one."""
        self._envelopes: dict[int, Value] = {}
        """Stored ones on their way back."""

    def add(self, value: Value) -> None:
        self._items[self.count] = value
        self.count += 1

    def pack(self, packer: Packer, frame_id: int) -> Json:
        if self.count <= INLINE_MAX:
            return [packer.value(self._items[at]) for at in range(self.count)]
        for at in range(self._saved, self.count):
            envelope = orjson.dumps(packer.value(self._items[at]))
            packer.named(f"{self.name}/{frame_id}/{at}", envelope)
        self._saved = self.count
        return self.count

    @staticmethod
    def unpack(name: str, packed: Json, unpacker: Unpacker) -> Series:
        if isinstance(packed, int):
            return Series(name, packed)
        series = Series(name)
        for each in packed:
            value = unpacker.value(each)
            assert value is not None
            series.add(value)
        return series

    def absent(self, state: State, frame_id: int) -> list[Value]:
        """What must be loaded before all of it can be read; ask again until nothing is."""
        unpacker = Unpacker()
        for at in range(self.count):
            if at in self._items:
                continue
            envelope = self._envelopes.get(at)
            if envelope is None:
                id = derived_id(state.facts.id, f"{self.name}/{frame_id}/{at}")
                envelope = self._envelopes[at] = Value.of_reference(Reference(id, 0))
            if envelope.is_loaded:
                value = unpacker.value(envelope.json)
                assert value is not None
                self._items[at] = value
                del self._envelopes[at]
        waiting = [*self._envelopes.values(), *self._items.values()]
        return [value for value in waiting if not value.is_loaded]

    def joined(self) -> Value:
        """All of it as one array."""
        items = [self._items[at] for at in range(self.count)]
        secrets = reduce(together, (each.secrets for each in items), None)
        return Value.of_bytes(b"[" + b",".join(each.raw for each in items) + b"]", secrets)


def _consumed() -> Series:
    return Series("consumed")


def _outputs() -> Series:
    return Series("outputs")


@dataclass(slots=True)
class ListenState:
    expected: dict[str, dict[str, Json]]
    """By position of the filter: the correlation values that it expects by itself."""
    shared: dict[str, Json] = field(default_factory=dict)
    """Correlation values that events have fixed."""
    met: int = 0
    """A bit per filter that has had its event, where all must have one."""
    stage: Stage = Stage.IDLE
    is_last: bool = False
    """What it listens for has come: it ends after this event."""
    is_open: bool = True
    """Its wait is open."""
    turn: int = 0
    """How many iterations have ended."""
    current: Value | None = None
    """The event at work, as it is read."""
    consumed: Series = field(default_factory=_consumed)
    outputs: Series = field(default_factory=_outputs)

    def pack(self, packer: Packer, frame_id: int) -> list[Json]:
        flags = self.is_last | self.is_open << 1
        return [
            self.expected,
            self.shared,
            f"{self.met:x}",
            self.stage,
            flags,
            self.turn,
            packer.value(self.current),
            self.consumed.pack(packer, frame_id),
            self.outputs.pack(packer, frame_id),
        ]

    @staticmethod
    def unpack(packed: list[Json], unpacker: Unpacker) -> ListenState:
        expected, shared, met, stage, flags, turn, current, consumed, outputs = packed
        return ListenState(
            expected=expected,
            shared=shared,
            met=int(met, 16),
            stage=Stage(stage),
            is_last=bool(flags & 1),
            is_open=bool(flags & 2),
            turn=turn,
            current=unpacker.value(current),
            consumed=Series.unpack("consumed", consumed, unpacker),
            outputs=Series.unpack("outputs", outputs, unpacker),
        )
