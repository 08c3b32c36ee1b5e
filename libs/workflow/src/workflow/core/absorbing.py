"""Messages: each finds the frame it is about and notes there what happened. Nothing is evaluated here.

A message about something that is not open is late or repeated, and is dropped.
"""

from __future__ import annotations

from typing import assert_never

from workflow.core.cancelling import (
    cancel_inside,
    close_pause,
    close_timeout,
    close_try_limit,
    release,
)
from workflow.core.catching import try_again
from workflow.core.effects import OpenWait, Phase, WaitKind
from workflow.core.errors import ErrorKind, Failure, error_of
from workflow.core.extras import CallReport, TryState
from workflow.core.flow import fault_at_once
from workflow.core.messages import (
    Cancel,
    ChildClosed,
    Continue,
    EventArrived,
    Fault,
    Message,
    Resume,
    Start,
    Suspend,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from workflow.core.nodes import Kind
from workflow.core.recording import record_workflow
from workflow.core.state import Frame, Step
from workflow.core.stowage import unstow
from workflow.core.values import Json, Value
from workflow.core.work import Work

_ENDING = frozenset({Step.LEAVE, Step.FAIL, Step.CLIMB})


def absorb(work: Work, message: Message) -> bool:
    """Note what happened; whether anything changed."""
    state = work.state
    if state.phase.is_final:
        return False
    if state.root is None:
        return _absorb_pending(work, message)
    match message:
        case Start():
            return False
        case TaskCompleted():
            return _task_completed(work, message)
        case TaskFailed():
            return _task_failed(work, message)
        case TimerFired(key):
            return state.suspended_key is None and _timer_fired(work, key)
        case ChildClosed():
            return _child_closed(work, message)
        case EventArrived():
            work.arrival = message
            return False
        case Cancel(reason):
            return _cancel(work, reason)
        case Suspend(reason):
            return _suspend(work, reason)
        case Resume():
            return _resume(work)
        case Continue():
            return _continue(work)
        case Fault(key, error):
            return _fault(work, key, error)
        case _:
            assert_never(message)


def _absorb_pending(work: Work, message: Message) -> bool:
    """Before the start only the start itself counts, or what makes it unnecessary."""
    state = work.state
    match message:
        case Start(given):
            input = given.copy()
            state.started_at = work.now_ms
            if work.plan.reads_workflow:
                state.input = input
            record_workflow(work, "started")
            state.root = work.spawn(work.plan.root, None, input)
            state.root.context = Value({}, raw=b"{}")
            state.phase = Phase.RUNNING
        case Cancel(reason):
            record_workflow(work, "cancelled", reason=reason)
            work.effects.error = _reason(reason)
            state.phase = Phase.CANCELLED
        case Fault(_, error):
            record_workflow(work, "faulted", error=error)
            work.effects.error = error
            state.phase = Phase.FAULTED
        case _:
            return False
    return True


def _task_completed(work: Work, message: TaskCompleted) -> bool:
    frame = _waiting(work, message.key, Kind.CALL)
    if frame is None:
        return False
    work.close_task(message.key)
    _note_report(frame, message)
    frame.value = message.output.copy()
    work.schedule(frame, Step.LEAVE)
    return True


def _task_failed(work: Work, message: TaskFailed) -> bool:
    frame = _waiting(work, message.key, Kind.CALL)
    if frame is None:
        return False
    work.close_task(message.key)
    _note_report(frame, message)
    error = _reported(message.error, "the function failed")
    _fail_later(work, frame, Failure(error, message.retry_after_ms, message.retryable))
    return True


def _note_report(frame: Frame, message: TaskCompleted | TaskFailed) -> None:
    facts: dict[str, Json] = {}
    if message.worker:
        facts["worker"] = message.worker
    if message.started_at is not None:
        facts["startedAt"] = message.started_at
    if message.usage is not None:
        facts["usage"] = message.usage
    if facts:
        frame.extra = CallReport(facts)


def _timer_fired(work: Work, key: str) -> bool:
    frame, suffix = _frame_of(work, key)
    if frame is None:
        return False
    if suffix == "":
        return _wait_is_over(work, frame, key)
    if suffix == "t":
        return _timed_out(work, frame)
    tried = frame.extra
    if type(tried) is not TryState or suffix[1:] != str(tried.retries):
        return False
    if suffix[0] == "r" and tried.paused:
        close_pause(work, frame, tried)
        try_again(work, frame)
        return True
    if suffix[0] == "a" and tried.attempt_due_at is not None and frame.step is Step.OPEN:
        close_try_limit(work, frame, tried)
        cancel_inside(work, frame)
        detail = "the try took longer than the retry policy allows"
        frame.failure = Failure(error_of(ErrorKind.TIMEOUT, detail)).at(frame.node.pointer)
        work.schedule(frame, Step.CATCH)
        return True
    return False


def _wait_is_over(work: Work, frame: Frame, key: str) -> bool:
    if frame.node.kind is not Kind.WAIT or frame.step is not Step.OPEN:
        return False
    work.close(key)
    frame.value = frame.input
    work.schedule(frame, Step.LEAVE)
    return True


def _timed_out(work: Work, frame: Frame) -> bool:
    if frame.due_at is None or frame.step in _ENDING:
        return False  # what came first counts, even if it is still to be recorded
    close_timeout(work, frame)
    subject = "workflow" if frame.parent is None else f"task {frame.node.name!r}"
    detail = f"the {subject} did not end within its time limit"
    _interrupt(work, frame, Failure(error_of(ErrorKind.TIMEOUT, detail)))
    return True


def _child_closed(work: Work, message: ChildClosed) -> bool:
    frame = _waiting(work, message.key, Kind.RUN)
    if frame is None:
        return False
    work.close(message.key)
    if message.status == Phase.COMPLETED:
        frame.value = message.output.copy()
        work.schedule(frame, Step.LEAVE)
        return True
    detail = f"the sub-workflow ended as {message.status}"
    error = message.error if message.status == Phase.FAULTED else None
    _fail_later(work, frame, Failure(_reported(error or {}, detail)))
    return True


def _cancel(work: Work, reason: str) -> bool:
    root = work.state.root
    assert root is not None
    cancel_inside(work, root)
    release(work, root)
    record_workflow(work, "cancelled", reason=reason)
    work.end(Phase.CANCELLED, error=_reason(reason))
    return True


def _suspend(work: Work, reason: str) -> bool:
    state = work.state
    if state.suspended_key is not None:
        return False
    state.suspended_key = f"s{state.next_number()}"
    work.open(OpenWait(state.suspended_key, WaitKind.SUSPENDED))
    record_workflow(work, "suspended", reason=reason)
    return True


def _resume(work: Work) -> bool:
    state = work.state
    if state.suspended_key is None:
        return False
    work.close(state.suspended_key)
    state.suspended_key = None
    record_workflow(work, "resumed")
    return True


def _continue(work: Work) -> bool:
    state = work.state
    if state.continue_key is None:
        return False
    work.close(state.continue_key)
    state.continue_key = None
    return True


def _fault(work: Work, key: str | None, error: dict[str, Json]) -> bool:
    failure = Failure(_reported(error, "the task cannot go on"), retryable=False)
    if key is None:
        fault_at_once(work, failure)
        return True
    frame, _ = _frame_of(work, key)
    if frame is None or not _is_open(frame, key):
        return False
    _interrupt(work, frame, failure)
    return True


def _reported(error: dict[str, Json], detail: str) -> dict[str, Json]:
    """An error that came from outside, complete. Where it arose is for the core to say, in terms of this document."""
    complete = {**error_of(ErrorKind.RUNTIME, detail), **error}
    complete.pop("instance", None)
    return complete


def _is_open(frame: Frame, key: str) -> bool:
    """Whether a frame has the wait of this name."""
    tried = frame.extra
    timers = {f"{frame.id}t": frame.due_at is not None}
    if type(tried) is TryState:
        timers[f"{frame.id}r{tried.retries}"] = tried.paused
        timers[f"{frame.id}a{tried.retries}"] = tried.attempt_due_at is not None
    elif frame.node.kind in {Kind.CALL, Kind.RUN, Kind.WAIT}:
        timers[str(frame.id)] = frame.step is Step.OPEN
    return timers.get(key, False)


def _interrupt(work: Work, frame: Frame, failure: Failure) -> None:
    cancel_inside(work, frame)
    release(work, frame)
    _fail_later(work, frame, failure)


def _fail_later(work: Work, frame: Frame, failure: Failure) -> None:
    frame.failure = failure.at(frame.node.pointer)
    work.schedule(frame, Step.FAIL)


def _waiting(work: Work, key: str, kind: Kind) -> Frame | None:
    """The frame whose task or child a message is about, if it still waits for it."""
    frame, suffix = _frame_of(work, key)
    if frame is None or suffix or frame.step is not Step.OPEN or frame.node.kind is not kind:
        return None
    return frame


def _frame_of(work: Work, key: str) -> tuple[Frame | None, str]:
    """The frame that a key begins with, and the rest of the key."""
    digits = len(key)
    while digits and not key[:digits].isdecimal():
        digits -= 1
    frame = work.state.frames.get(int(key[:digits])) if digits else None
    if frame is not None:
        unstow(work.state, frame)
    return frame, key[digits:]


def _reason(reason: str) -> dict[str, Json]:
    return {"title": "Cancelled", "detail": reason}
