"""What some kinds of task remember besides the common fields of a frame.

Results of branches and items of loops may be many. Past a handful they are stored as values of their own under ids that
follow from frame and position, so the state holds a bitmap or a count and is as small at the end as at the beginning.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import orjson

from workflow.core.effects import StoredValue
from workflow.core.state import State, derived_id
from workflow.core.values import INLINE_BYTES_MAX, Json, Reference, Secrets, Value

LOOP_CHUNK_BYTES = 4096
"""Items of a loop are stored in pieces of about this size; one piece is read per turn of the loop at most."""

FORK_INLINE_BRANCHES_MAX = 8
"""Forks of up to this many branches keep small results in the state."""


class Packer:
    """Turns values into their place in the snapshot, storing those that are too large for it."""

    __slots__ = ("_state", "stored")

    def __init__(self, state: State) -> None:
        self._state = state
        self.stored: list[StoredValue] = []

    def value(self, value: Value | None) -> Json:
        """0 for none, `[json]` for a small value, `[id, size]` for a stored one."""
        if value is None:
            return 0
        reference = value.reference
        if reference is None:
            raw = value.raw
            if len(raw) <= INLINE_BYTES_MAX and value.secrets is None:
                return [orjson.Fragment(raw)]
            reference = self._state.keep(value)
            self.stored.append(StoredValue(reference.id, raw, value.secrets))
        if value.is_loaded:
            self._state.weight += reference.size
        return [reference.id, reference.size]

    def named(self, name: str, raw: bytes, secrets: Secrets = None) -> None:
        """Store under an id that follows from `name`."""
        self._state.weight += len(raw)
        self.stored.append(StoredValue(self.id_of(name), raw, secrets))

    def id_of(self, name: str) -> str:
        return derived_id(self._state.facts.id, name)


class Unpacker:
    """The inverse. Values with the same reference become one object, so that they load once."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[str, Value] = {}

    def value(self, packed: Json) -> Value | None:
        if packed == 0:
            return None
        if len(packed) == 1:
            return Value(packed[0])
        id, size = packed
        value = self._by_id.get(id)
        if value is None:
            value = self._by_id[id] = Value.of_reference(Reference(id, size))
        return value


class Extra(Protocol):
    def pack(self, packer: Packer, frame_id: int) -> list[Json]: ...


@dataclass(slots=True)
class CallReport:
    """What the executor said about itself, until the task's end is recorded."""

    facts: dict[str, Json]

    def pack(self, packer: Packer, frame_id: int) -> list[Json]:
        del packer, frame_id
        return [self.facts]

    @staticmethod
    def unpack(packed: list[Json], unpacker: Unpacker) -> CallReport:
        del unpacker
        return CallReport(packed[0])


@dataclass(slots=True)
class LoopState:
    """Where a `for` stands in its items."""

    index: int
    count: int
    chunk_size: int
    """Items per stored piece; 0 when all of them are in the snapshot."""
    items: list[Json] | None
    """All of them, while the state that began the loop is in memory."""
    saved: bool = False
    chunk_index: int = -1
    chunk: Value | None = None
    secrets: Secrets = None
    """What `items` were made from; stored pieces know it by themselves."""

    @staticmethod
    def over(items: list[Json], size: int, secrets: Secrets = None) -> LoopState:
        """A loop over items that make up `size` bytes of JSON."""
        inline = size <= INLINE_BYTES_MAX and secrets is None
        chunk = 0 if inline else max(1, LOOP_CHUNK_BYTES * len(items) // size)
        return LoopState(0, len(items), chunk, items, secrets=secrets)

    def item(self, state: State, frame_id: int) -> Value:
        """The current item; for a stored one that is not loaded, the piece that has it."""
        if self.items is not None:
            return Value(self.items[self.index], secrets=self.secrets)
        number, offset = divmod(self.index, self.chunk_size)
        if self.chunk is None or self.chunk_index != number:
            id = derived_id(state.facts.id, f"loop/{frame_id}/{number}")
            self.chunk, self.chunk_index = Value.of_reference(Reference(id, 0)), number
        if not self.chunk.is_loaded:
            return self.chunk
        return Value(self.chunk.json[offset], secrets=self.chunk.secrets)

    def pack(self, packer: Packer, frame_id: int) -> list[Json]:
        if self.chunk_size == 0:
            return [self.index, self.count, 0, self.items]
        if not self.saved:
            assert self.items is not None
            for number, start in enumerate(range(0, self.count, self.chunk_size)):
                piece = orjson.dumps(self.items[start : start + self.chunk_size])
                packer.named(f"loop/{frame_id}/{number}", piece, self.secrets)
            self.saved = True
        return [self.index, self.count, self.chunk_size]

    @staticmethod
    def unpack(packed: list[Json], unpacker: Unpacker) -> LoopState:
        del unpacker
        items = packed[3] if len(packed) > 3 else None
        return LoopState(packed[0], packed[1], packed[2], items, saved=True)


@dataclass(slots=True)
class BranchResult:
    output: Value
    context: Value | None
    """`$context` as the branch exported it; none if it exported nothing."""


@dataclass(slots=True)
class ForkState:
    """Which branches ended, and what the ones at hand came to."""

    count: int
    first_id: int
    """Of the frames of the branches; the others follow it."""
    done: int = 0
    """A bit per branch that ended."""
    stowed: int = 0
    """A bit per branch that is a call and only waits for its result, see `stowage`."""
    results: dict[int, BranchResult] = field(default_factory=dict)
    unsaved: list[int] = field(default_factory=list)
    envelopes: dict[int, Value] = field(default_factory=dict)
    """Stored results on their way back, for the join."""

    @property
    def is_small(self) -> bool:
        return self.count <= FORK_INLINE_BRANCHES_MAX

    @property
    def is_complete(self) -> bool:
        return self.done == (1 << self.count) - 1

    def add(self, position: int, result: BranchResult) -> None:
        self.done |= 1 << position
        self.results[position] = result
        self.unsaved.append(position)

    def pack(self, packer: Packer, frame_id: int) -> list[Json]:
        if self.is_small:
            rows = [[at, *_pack_result(packer, self.results[at])] for at in sorted(self.results)]
            return [*self._counts(), rows]
        for position in self.unsaved:
            envelope = orjson.dumps(_pack_result(packer, self.results[position]))
            packer.named(f"fork/{frame_id}/{position}", envelope)
        self.unsaved.clear()
        return self._counts()

    def _counts(self) -> list[Json]:
        return [self.count, self.first_id, f"{self.done:x}", f"{self.stowed:x}"]

    @staticmethod
    def unpack(packed: list[Json], unpacker: Unpacker) -> ForkState:
        count, first_id, done, stowed, *rows = packed
        state = ForkState(count, first_id, int(done, 16), int(stowed, 16))
        for position, *result in rows[0] if rows else ():
            state.results[position] = unpack_result(result, unpacker)
        return state


def _pack_result(packer: Packer, result: BranchResult) -> list[Json]:
    return [packer.value(result.output), packer.value(result.context)]


def unpack_result(packed: list[Json], unpacker: Unpacker) -> BranchResult:
    output = unpacker.value(packed[0])
    assert output is not None
    return BranchResult(output, unpacker.value(packed[1]))


@dataclass(slots=True)
class TryState:
    """How often a `try` was tried, and what it is doing about the last failure."""

    attempt: int
    """The number that the tasks inside bear now. Grows with every retry here, inside or around."""
    attempt_high: int
    """The highest number given to a task inside; the next retry here takes the one after it."""
    retries: int = 0
    paused: bool = False
    """The timer `{frame}r{retries}` is open: a pause before the next try."""
    attempt_due_at: int | None = None
    """The timer `{frame}a{retries}` is open: the limit of this try."""
    handling: bool = False
    """`catch.do` is running."""
    caught: bool = False
    """The policy has given up and the error was caught: `catch.then` counts."""
    next_limit_ms: int | None = None
    """How long the try after the pause may take."""
    error: Value | None = None
    """What was caught, while something may read it."""

    def pack(self, packer: Packer, frame_id: int) -> list[Json]:
        del frame_id
        flags = self.paused | self.handling << 1 | self.caught << 2
        error = packer.value(self.error)
        counts = [self.attempt, self.attempt_high, self.retries]
        return [*counts, flags, self.attempt_due_at, self.next_limit_ms, error]

    @staticmethod
    def unpack(packed: list[Json], unpacker: Unpacker) -> TryState:
        attempt, high, retries, flags, due_at, limit_ms, error = packed
        return TryState(
            attempt=attempt,
            attempt_high=high,
            retries=retries,
            paused=bool(flags & 1),
            attempt_due_at=due_at,
            handling=bool(flags & 2),
            caught=bool(flags & 4),
            next_limit_ms=limit_ms,
            error=unpacker.value(error),
        )
