"""The stored form of a state: a version byte, a byte that says how it is compressed, compact JSON arrays."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import orjson

from workflow.core.effects import Phase, StoredValue
from workflow.core.errors import Failure
from workflow.core.extras import CallReport, Extra, ForkState, LoopState, Packer, TryState, Unpacker
from workflow.core.listener_state import ListenState
from workflow.core.nodes import Kind
from workflow.core.plan import Plan
from workflow.core.state import Facts, Frame, State, Step
from workflow.core.stowage import restore_branches, stow_branches
from workflow.core.values import Json

FORMAT_VERSION = 1
_PLAIN = bytes([FORMAT_VERSION, 0])
_DEFLATED = bytes([FORMAT_VERSION, 1])

COMPRESS_ABOVE_BYTES = 1024

_PHASES = tuple(Phase)
_INHERITED = 1
"""In the place of a value: the transformed input of the fork that the frame is a branch of."""

_EXTRAS: dict[Kind, Callable[[list[Json], Unpacker], Extra]] = {
    Kind.CALL: CallReport.unpack,
    Kind.RUN: CallReport.unpack,
    Kind.FOR: LoopState.unpack,
    Kind.FORK: ForkState.unpack,
    Kind.LISTEN: ListenState.unpack,
    Kind.TRY: TryState.unpack,
}


class UnknownFormat(ValueError):
    """The snapshot was written by a newer version; this process must leave it alone."""


def encode(state: State) -> tuple[bytes, list[StoredValue]]:
    """The snapshot, and the values that must be stored with it."""
    packer = Packer(state)
    stow_branches(state)
    changed = [frame for frame in state.loose.values() if frame.encoded is None]
    for frame in sorted(changed, key=_by_id):
        frame.encoded = orjson.dumps(_pack_frame(frame, packer))
    # Pieces that did not change are joined as they are; this is what a wide fork costs at every turn.
    frames = b",".join([frame.encoded or b"" for frame in _in_order(state.loose)])
    agenda = orjson.dumps([frame.id for frame in state.agenda])
    # The header comes last: naming values takes numbers from the counter that it holds.
    header = orjson.dumps(_header(state, packer))
    body = b"[%b,[%b],%b]" % (agenda, frames, header)
    if len(body) <= COMPRESS_ABOVE_BYTES:
        return _PLAIN + body, packer.stored
    return _DEFLATED + zlib.compress(body, 1), packer.stored


def decode(snapshot: bytes, plan: Plan) -> State:
    """The state that was encoded. `plan` must be of the definition that the execution runs."""
    if len(snapshot) < 2 or snapshot[0] != FORMAT_VERSION or snapshot[1] > 1:
        raise UnknownFormat(f"snapshot format {snapshot[:2].hex()} is not known here")
    body = zlib.decompress(snapshot[2:]) if snapshot[1] else snapshot[2:]
    agenda, frames, header = orjson.loads(body)
    unpacker = Unpacker()
    state = _unpack_header(header, unpacker)
    for packed in frames:
        frame = _unpack_frame(packed, state, plan, unpacker)
        state.loose[frame.id] = frame
        if frame.parent is None:
            state.root = frame
    restore_branches(state)
    state.agenda = [state.frames[id] for id in agenda]
    return state


def _header(state: State, packer: Packer) -> list[Json]:
    facts = state.facts
    input = packer.value(state.input)  # may take a number, too
    return [
        [facts.id, facts.namespace, facts.name, facts.version],
        _PHASES.index(state.phase),
        state.sequence,
        state.counter,
        state.started_at,
        input,
        state.continue_key,
        state.suspended_key,
        state.task_waits,
    ]


def _unpack_header(header: list[Json], unpacker: Unpacker) -> State:
    facts, phase, sequence, counter, started_at, input, continued, suspended, waits = header
    state = State(Facts(*facts))
    state.phase = _PHASES[phase]
    state.sequence = sequence
    state.counter = counter
    state.started_at = started_at
    state.input = unpacker.value(input)
    state.continue_key = continued
    state.suspended_key = suspended
    state.task_waits = waits
    return state


def _in_order(frames: dict[int, Frame]) -> list[Frame]:
    """In order of creation. Frames that were stowed for a while stand behind younger ones in the dictionary."""
    return [frames[id] for id in sorted(frames)]


def _by_id(frame: Frame) -> int:
    return frame.id


def _pack_frame(frame: Frame, packer: Packer) -> list[Json]:
    parent = frame.parent
    branch = parent is not None and parent.node.kind is Kind.FORK
    inherited = branch and frame.step is Step.ENTER
    failure = frame.failure
    packed = [
        frame.id,
        frame.node.index,
        0 if parent is None else parent.id,
        frame.step,
        frame.started_at,
        _INHERITED if inherited else packer.value(frame.value),
        packer.value(frame.raw),
        packer.value(frame.input),
        frame.due_at or 0,
        frame.lap,
        0 if frame.extra is None else frame.extra.pack(packer, frame.id),
        packer.value(frame.context),
        0 if failure is None else [failure.error, failure.retry_after_ms, failure.retryable],
    ]
    while packed[-1] == 0:
        packed.pop()
    return packed


def _unpack_frame(packed: list[Json], state: State, plan: Plan, unpacker: Unpacker) -> Frame:
    packed += [0] * (13 - len(packed))
    id, node, parent_id, step, started, value, raw, input, due_at, lap, extra, context, failure = (
        packed
    )
    parent = state.loose[parent_id] if parent_id else None
    frame = Frame(id, plan.nodes[node], parent)
    frame.step = Step(step)
    frame.started_at = started
    if value == _INHERITED:
        assert parent is not None
        frame.value = parent.input
    else:
        frame.value = unpacker.value(value)
    frame.raw = unpacker.value(raw)
    frame.input = unpacker.value(input)
    frame.due_at = due_at or None
    frame.lap = lap
    frame.extra = _EXTRAS[frame.node.kind](extra, unpacker) if extra else None
    frame.context = unpacker.value(context)
    frame.failure = Failure(*failure) if failure else None
    return frame
