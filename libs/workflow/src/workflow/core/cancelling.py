"""Ending what is still open: waits of a frame, and everything inside it."""

from __future__ import annotations

from workflow.core.extras import TryState
from workflow.core.listener_state import ListenState
from workflow.core.nodes import CallSpec, Kind
from workflow.core.recording import record_cancelled
from workflow.core.state import Frame, Step
from workflow.core.tree import descendants
from workflow.core.work import Work


def timeout_key(frame: Frame) -> str:
    return f"{frame.id}t"


def pause_key(frame: Frame, tried: TryState) -> str:
    return f"{frame.id}r{tried.retries}"


def try_limit_key(frame: Frame, tried: TryState) -> str:
    return f"{frame.id}a{tried.retries}"


def cancel_inside(work: Work, frame: Frame) -> None:
    """Interrupt all tasks inside a frame, innermost first."""
    for inner in list(descendants(frame)):
        release(work, inner)
        if inner.step is not Step.ENTER:
            record_cancelled(work, inner)
        work.drop(inner)


def release(work: Work, frame: Frame) -> None:
    """Close every wait of a frame itself."""
    close_timeout(work, frame)
    if type(frame.extra) is TryState:
        close_pause(work, frame, frame.extra)
        close_try_limit(work, frame, frame.extra)
    close_listener(work, frame)
    if frame.step is not Step.OPEN:
        return
    spec = frame.node.spec
    if type(spec) is CallSpec:
        work.cancel_task(frame, spec.queue)
    elif frame.node.kind is Kind.RUN:
        work.cancel_child(str(frame.id))
    elif frame.node.kind is Kind.WAIT:
        work.close(str(frame.id))


def close_listener(work: Work, frame: Frame) -> None:
    """Stop listening. A listener waits while its iterations run, too."""
    listener = frame.extra
    if type(listener) is ListenState and listener.is_open:
        work.close(str(frame.id))
        work.effects.unlistened.append(str(frame.id))
        listener.is_open = False
        frame.encoded = None


def close_timeout(work: Work, frame: Frame) -> None:
    if frame.due_at is not None:
        work.close(timeout_key(frame))
        frame.due_at = None
        frame.encoded = None


def close_pause(work: Work, frame: Frame, tried: TryState) -> None:
    if tried.paused:
        work.close(pause_key(frame, tried))
        tried.paused = False
        frame.encoded = None


def close_try_limit(work: Work, frame: Frame, tried: TryState) -> None:
    if tried.attempt_due_at is not None:
        work.close(try_limit_key(frame, tried))
        tried.attempt_due_at = None
        frame.encoded = None
