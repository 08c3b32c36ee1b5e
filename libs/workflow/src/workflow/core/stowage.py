"""Branches of a fork that only wait for a result take one bit each in the snapshot.

A fork of a thousand calls would otherwise write a thousand frames with every result. A branch can be stowed if all that its
frame holds follows from the fork: it is a call without timeout, and nothing after its work reads what it was given. It is
taken out again by the message that it waits for, or when it is cancelled.
"""

from __future__ import annotations

from workflow.core.extras import ForkState
from workflow.core.nodes import ForkSpec, Kind
from workflow.core.state import Frame, State, Step
from workflow.core.tree import attach


def stow_branches(state: State) -> None:
    """Stow the frames that changed since the last snapshot and can be stowed now."""
    for frame in [frame for frame in state.loose.values() if frame.encoded is None]:
        fork = frame.parent
        if fork is None or not _is_plain(frame):
            continue
        extra = fork.extra
        if type(extra) is ForkState:
            del state.loose[frame.id]
            frame.started_at = fork.started_at  # nothing reads it any more, and it need not be kept
            extra.stowed |= 1 << frame.node.position
            fork.encoded = None


def unstow(state: State, frame: Frame) -> None:
    """Let the snapshot hold a frame by itself again."""
    if frame.id in state.loose:
        return
    state.loose[frame.id] = frame
    fork = frame.parent
    assert fork is not None
    assert type(fork.extra) is ForkState
    fork.extra.stowed &= ~(1 << frame.node.position)
    fork.encoded = None


def restore_branches(state: State) -> None:
    """Put the tree of a decoded state together, stowed branches included, in order of creation."""
    frames = list(state.loose.values())
    for fork in state.loose.values():
        if type(fork.extra) is ForkState and fork.extra.stowed:
            frames.extend(_stowed(fork, fork.extra))
    for frame in sorted(frames, key=lambda frame: frame.id):
        state.frames[frame.id] = frame
        attach(frame)


def _stowed(fork: Frame, extra: ForkState) -> list[Frame]:
    spec = fork.node.spec
    assert type(spec) is ForkSpec
    frames = []
    for position, node in enumerate(spec.branches):
        if extra.stowed >> position & 1:
            frame = Frame(extra.first_id + position, node, fork)
            frame.step = Step.OPEN
            frame.started_at = fork.started_at
            frames.append(frame)
    return frames


def _is_plain(frame: Frame) -> bool:
    node = frame.node
    held = (frame.value, frame.raw, frame.input, frame.due_at, frame.extra, frame.context)
    return (
        frame.step is Step.OPEN
        and node.kind is Kind.CALL
        and not node.needs_raw
        and all(each is None for each in held)
    )
