"""`try`: its body again after a pause while the policy allows, then `catch.do`, or on with the failure.

Theory of operation
-------------------
A `try` is in one of three conditions: its body runs; it pauses before the body runs again (the timer `{frame}r{n}`
is open); its handler runs. A failure of the body makes it decide, in this order: does `catch` concern this error
(`errors.with`, `when`, `exceptWhen`)? If not, the failure goes on. May it be tried again (`retry`)? If so, after a
pause. Is there a handler? If so, it runs on the input of the `try`. Otherwise the `try` ends well, with its input.

The number of a try must never come twice for the same task, as it is part of what names its side effects' results. Tries
of nested `try` tasks share one count: an outer retry goes on above the highest number used inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from workflow.core.cancelling import close_try_limit, pause_key, try_limit_key
from workflow.core.errors import Failure, TaskFault, matches
from workflow.core.extras import TryState
from workflow.core.flow import fail
from workflow.core.nodes import Backoff, RetrySpec, TrySpec
from workflow.core.outcomes import Outcome, milliseconds_of
from workflow.core.recording import record_retried
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, Step
from workflow.core.tree import ancestors
from workflow.core.values import Value
from workflow.core.work import Work, truthy

DELAY_MAX_MS = 365 * 86_400_000
"""No pause before a retry is longer than a year, however large the exponent."""


@dataclass(frozen=True, slots=True)
class _Pause:
    delay_ms: int
    try_limit_ms: int | None


def run_try(work: Work, frame: Frame, scope: TaskScope) -> Outcome:
    spec = frame.node.spec
    assert type(spec) is TrySpec
    limit_ms = _try_limit(work, spec.retry, scope)
    return lambda: _begin(work, frame, limit_ms)


def catch(work: Work, frame: Frame) -> None:
    """The body failed: try again, handle it, or let it go on."""
    spec, tried, failure, given = frame.node.spec, frame.extra, frame.failure, frame.input
    assert type(spec) is TrySpec
    assert type(tried) is TryState
    assert failure is not None
    assert given is not None
    tried.error = Value(failure.error)
    scope = TaskScope(work, frame, given)
    try:
        concerned = _concerns(work, spec, failure, scope)
        pause = _next_pause(work, frame, spec.retry, failure, scope) if concerned else None
    except TaskFault as raised:
        fail(work, frame, raised.failure)
        return
    close_try_limit(work, frame, tried)
    if not concerned:
        fail(work, frame, failure)
        return
    frame.failure = None
    if pause is not None:
        _retry_later(work, frame, failure, pause)
    else:
        _handle(work, frame, spec, given)


def try_again(work: Work, frame: Frame) -> None:
    """The pause is over: run the body once more, on the same input."""
    tried = frame.extra
    assert type(tried) is TryState
    tried.error = None
    _begin_body(work, frame, tried, tried.next_limit_ms)


def _begin(work: Work, frame: Frame, limit_ms: int | None) -> None:
    tried = TryState(frame.attempt, frame.attempt)
    frame.extra = tried
    _begin_body(work, frame, tried, limit_ms)


def _begin_body(work: Work, frame: Frame, tried: TryState, limit_ms: int | None) -> None:
    spec = frame.node.spec
    assert type(spec) is TrySpec
    assert frame.input is not None
    frame.step = Step.OPEN
    frame.lap = 0
    frame.encoded = None
    if limit_ms is not None:
        tried.attempt_due_at = work.now_ms + limit_ms
        work.open_timer(try_limit_key(frame, tried), tried.attempt_due_at, frame)
    if spec.tasks:
        work.spawn(spec.tasks[0], frame, frame.input)
    else:
        frame.value = frame.input
        work.schedule(frame, Step.LEAVE)


def _handle(work: Work, frame: Frame, spec: TrySpec, given: Value) -> None:
    tried = frame.extra
    assert type(tried) is TryState
    tried.caught = True
    frame.lap = 0
    if spec.handler:
        tried.handling = True
        frame.step = Step.OPEN
        frame.encoded = None
        work.spawn(spec.handler[0], frame, given)
    else:
        frame.value = given
        work.schedule(frame, Step.LEAVE)


def _retry_later(work: Work, frame: Frame, failure: Failure, pause: _Pause) -> None:
    tried = frame.extra
    assert type(tried) is TryState
    tried.retries += 1
    tried.attempt = tried.attempt_high = tried.attempt_high + 1
    tried.next_limit_ms = pause.try_limit_ms
    for outer in ancestors(frame):
        if type(outer.extra) is TryState:
            outer.extra.attempt_high = max(outer.extra.attempt_high, tried.attempt)
            outer.encoded = None
    record_retried(work, frame, failure, attempt=tried.attempt, delay_ms=pause.delay_ms)
    frame.step = Step.OPEN
    frame.encoded = None
    tried.paused = True
    work.open_timer(pause_key(frame, tried), work.now_ms + pause.delay_ms, frame)


def _concerns(work: Work, spec: TrySpec, failure: Failure, scope: TaskScope) -> bool:
    """Whether `catch` is meant for this error."""
    if not matches(spec.filter, failure.error):
        return False
    if spec.condition is not None and not truthy(work.evaluate(spec.condition, scope)):
        return False
    return spec.exception is None or not truthy(work.evaluate(spec.exception, scope))


def _next_pause(
    work: Work, frame: Frame, policy: RetrySpec | None, failure: Failure, scope: TaskScope
) -> _Pause | None:
    """How long to wait before the next try, or `None` to give up."""
    tried = frame.extra
    assert type(tried) is TryState
    if policy is None or not failure.retryable or _spent(work, policy, tried.retries):
        return None
    if policy.condition is not None and not truthy(work.evaluate(policy.condition, scope)):
        return None
    if policy.exception is not None and truthy(work.evaluate(policy.exception, scope)):
        return None
    number = tried.retries + 1
    delay_ms = _delay(work, policy, number, scope) + _jitter(work, frame, policy, number, scope)
    delay_ms = max(delay_ms, failure.retry_after_ms or 0)
    if policy.duration is not None:
        until = frame.started_at + milliseconds_of(work, policy.duration, scope)
        if work.now_ms + delay_ms > until:
            return None
    return _Pause(delay_ms, _try_limit(work, policy, scope))


def _spent(work: Work, policy: RetrySpec, retries: int) -> bool:
    """Whether as many retries were made as the policy, or the operator, allows."""
    limits = (policy.retries_max, work.limits.retry_attempts_max)
    return any(limit is not None and retries >= limit for limit in limits)


def _delay(work: Work, policy: RetrySpec, number: int, scope: TaskScope) -> int:
    delay_ms = 0 if policy.delay is None else milliseconds_of(work, policy.delay, scope)
    match policy.backoff:
        case Backoff.LINEAR:
            delay_ms *= number
        case Backoff.EXPONENTIAL:
            # Capping the exponent first keeps a task that fails for ever from computing a huge integer.
            delay_ms <<= min(number - 1, 40)
        case Backoff.CONSTANT:
            pass
    return min(delay_ms, DELAY_MAX_MS)


def _jitter(work: Work, frame: Frame, policy: RetrySpec, number: int, scope: TaskScope) -> int:
    if policy.jitter_from is None or policy.jitter_to is None:
        return 0
    low = milliseconds_of(work, policy.jitter_from, scope)
    high = max(low, milliseconds_of(work, policy.jitter_to, scope))
    # Derived from ids, not from a random source: the same turn decided again must give the same delay,
    # and yet every task another one.
    seed = f"{work.state.facts.id}{frame.path}/{frame.id}/{number}".encode()
    fraction = int.from_bytes(blake2b(seed, digest_size=8).digest()) / 2**64
    return low + int((high - low + 1) * fraction)


def _try_limit(work: Work, policy: RetrySpec | None, scope: TaskScope) -> int | None:
    if policy is None or policy.attempt_duration is None:
        return None
    return milliseconds_of(work, policy.attempt_duration, scope)
