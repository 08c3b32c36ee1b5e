"""How a frame hangs in the tree of frames, and what follows from its place there."""

from __future__ import annotations

from collections.abc import Iterator

from workflow.core.extras import LoopState, TryState
from workflow.core.listener_state import ListenState
from workflow.core.nodes import Kind
from workflow.core.state import Frame, State, derived_id


def attach(frame: Frame) -> None:
    """Enter a frame among its parent's children, and derive what follows from its place."""
    parent = frame.parent
    if parent is None:
        frame.deadline = frame.due_at
        return
    parent.children[frame.id] = frame
    frame.thread_above = None if parent.node.kind is Kind.FORK else parent.thread
    frame.depth = parent.depth + 1
    frame.path = _path(frame, parent)
    extra = parent.extra
    if type(extra) is TryState and not extra.handling:
        frame.attempt = extra.attempt
        frame.deadline = earlier(parent.deadline, extra.attempt_due_at)
    else:
        frame.attempt = parent.attempt
        frame.deadline = parent.deadline
    frame.deadline = earlier(frame.deadline, frame.due_at)


def _path(frame: Frame, parent: Frame) -> str:
    node = frame.node
    base = parent.path
    if type(parent.extra) is LoopState:
        base = f"{base}/for/{parent.extra.index}"
    elif type(parent.extra) is ListenState:
        base = f"{base}/foreach/{parent.extra.turn}"
    if parent.lap:
        # A jump backwards runs the tasks of a list again. They are other tasks, with other side effects, so
        # their references must differ; a position such as `1@2` cannot be mistaken for a name.
        return f"{base}{node.prefix}/{node.position}@{parent.lap + 1}{node.segment}"
    return base + node.tail


def earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def task_id_of(state: State, frame: Frame) -> str:
    """The idempotency key of the task's side effects: `uuid5(execution, reference)`."""
    if not frame.task_id:
        frame.task_id = derived_id(state.facts.id, frame.path)
    return frame.task_id


def ancestors(frame: Frame) -> Iterator[Frame]:
    """The frames around one, innermost first."""
    parent = frame.parent
    while parent is not None:
        yield parent
        parent = parent.parent


def descendants(frame: Frame) -> Iterator[Frame]:
    """The frames inside one, each after those inside it, in order of creation."""
    for child in frame.children.values():
        yield from descendants(child)
        yield child
