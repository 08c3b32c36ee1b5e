"""One try, from its input to the message that says how it ended. Every failure becomes a value here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import orjson
from pydantic import BaseModel

from common.contracts.base import INLINE_INPUT_BYTES_MAX, PayloadReference
from common.contracts.tasks import TaskFailed, TaskRequested, TaskSucceeded
from common.error_reports import reported_duration
from common.logs import get_logger
from common.redaction import hidden_from_logs
from common.security.hiding import Hiding
from common.security.sealed import are_sealed, is_sealed, open_value, seal_bytes
from common.security.vault import Unopenable
from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.streams import names
from common.telemetry import SpanKind, span

if TYPE_CHECKING:
    from common.serving.steps import Serving

log = get_logger(__name__)

DEPTH_MAX: Final = 128
"""Messages are read by parsers that stop at 200 levels; a result that nobody can read would be asked for for ever."""

_NUL: Final = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""The escape itself, not a backslash followed by the text `u0000`."""

_TEXT_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')

USAGE_BYTES_MAX: Final = 4096


class TimedOut(Exception):
    """The time that was given for something is over."""


async def attempt_task(
    serving: Serving, task: TaskRequested, context: TaskContext, started_at_ms: int
) -> TaskSucceeded | TaskFailed:
    """Perform the function and say how it ended. Raises nothing but what ends this process or this job."""
    name = f"task {task.function}"
    with (
        hidden_from_logs(context.hiding),
        reported_duration(name, "queue.process"),
        span(
            name,
            parent_traceparent=task.traceparent or None,
            kind=SpanKind.CONSUMER,
            attributes=_attributes(serving, task),
        ),
    ):
        try:
            return await _succeed(serving, task, context, started_at_ms)
        except FunctionError as error:
            return _failed(serving, task, context, started_at_ms, error)
        except TimedOut:
            late = FunctionError(
                f"{task.function} did not finish within {task.timeout_ms} ms.", type="timeout"
            )
            return _failed(serving, task, context, started_at_ms, late)
        except Exception as error:
            log.warning(
                "function_raised",
                function=task.function,
                execution_id=str(task.execution_id),
                task_id=str(task.task_id),
                exc_info=True,
            )
            unexpected = FunctionError(f"{type(error).__name__}: {error}", type="runtime")
            return _failed(serving, task, context, started_at_ms, unexpected)


def _attributes(serving: Serving, task: TaskRequested) -> dict[str, str | int] | None:
    if not task.traceparent.endswith("1"):  # not sampled: nobody would see them
        return None
    return {
        "messaging.system": "redis",
        "messaging.operation.type": "process",
        "messaging.destination.name": names.tasks(serving.queue),
        "kwe.execution_id": str(task.execution_id),
        "kwe.task_id": str(task.task_id),
        "kwe.task.name": task.name,
        "kwe.task.try": task.attempt,
    }


async def _succeed(
    serving: Serving, task: TaskRequested, context: TaskContext, started_at_ms: int
) -> TaskSucceeded:
    handler = serving.functions.get(task.function)
    if handler is None:
        raise FunctionError(
            f"No executor on queue {serving.queue!r} serves {task.function}. Start one that has it, or give the "
            "function a queue of its own.",
            type="configuration",
        )
    input = await _input_of(serving, task, context.hiding)
    seconds = task.timeout_ms / 1000 if task.timeout_ms is not None else None
    output = await serving.within(handler(input, context), seconds)
    raw = _as_json(task, output, serving.output_bytes_max)
    _refuse_what_cannot_be_stored(task, raw)
    if are_sealed(raw):
        raise FunctionError(
            f"The result of {task.name!r} ({task.reference}) has the form of a sealed value, which is reserved.",
            retryable=False,
        )
    raw = _kept_secret(serving, task, raw, context.hiding)
    reference: PayloadReference | None = None
    if len(raw) > INLINE_INPUT_BYTES_MAX:
        reference = await serving.store.save(task.organization_id, task.execution_id, raw)
    return TaskSucceeded(
        organization_id=task.organization_id,
        traceparent=task.traceparent,
        execution_id=task.execution_id,
        key=task.key,
        task_id=task.task_id,
        attempt=task.attempt,
        worker=serving.consumer,
        output=orjson.loads(raw) if reference is None else None,
        output_ref=reference,
        started_at_ms=started_at_ms,
        usage=_usage(task, context.hiding.json(context.usage)),
    )


def _kept_secret(serving: Serving, task: TaskRequested, raw: bytes, hiding: Hiding) -> bytes:
    """A result that gives secrets back is sealed like what was made from them."""
    if not hiding.is_in(raw):
        return raw
    if serving.vault.has_key:
        return seal_bytes(serving.vault, task.organization_id, raw, hiding.secrets)
    return orjson.dumps(hiding.json(orjson.loads(raw)))  # credentials written in the document


async def _input_of(serving: Serving, task: TaskRequested, hiding: Hiding) -> Any:
    if task.input_ref is None:
        given = task.input
    else:
        try:
            given = orjson.loads(await serving.store.load(task.organization_id, task.input_ref))
        except LookupError as error:
            raise FunctionError(f"The input of {task.reference} is not stored any more.") from error
    if not is_sealed(given):
        return given
    try:
        opened, secrets = open_value(serving.vault, task.organization_id, given)
    except Unopenable as error:
        detail = "ENCRYPTION_KEY is not set" if not serving.vault.has_key else str(error)
        raise FunctionError(
            f"The input of {task.reference} holds secrets, and this executor cannot open it: {detail}.",
            type="configuration",
        ) from error
    hiding.add(secrets)
    return opened


def _as_json(task: TaskRequested, output: Any, bytes_max: int) -> bytes:
    try:
        raw = orjson.dumps(output, default=_plain)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise FunctionError(
            f"The result of {task.name!r} ({task.reference}) is not JSON: {error}. Return objects with text keys, "
            "lists, text, finite numbers of at most 64 bits, booleans or null.",
            retryable=False,
        ) from error
    if len(raw) > bytes_max:
        raise FunctionError(
            f"The result of {task.name!r} ({task.reference}) has {len(raw):,} bytes; at most {bytes_max:,} are "
            "accepted. Return less, or a reference to where it is stored.",
            retryable=False,
        )
    return raw


def _refuse_what_cannot_be_stored(task: TaskRequested, raw: bytes) -> None:
    problem = ""
    if _NUL.search(raw):
        problem = "contains the character NUL, which cannot be stored"
    elif raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _depth(raw) > DEPTH_MAX:
        problem = f"is nested more than {DEPTH_MAX} levels deep; return it as text, or flatter"
    if problem:
        raise FunctionError(
            f"The result of {task.name!r} ({task.reference}) {problem}.", retryable=False
        )


def _depth(raw: bytes) -> int:
    """How deep the JSON is nested."""
    depth = deepest = 0
    for token in _TEXT_OR_BRACKET.findall(raw):
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif token in b"]}":
            depth -= 1
    return deepest


def _usage(task: TaskRequested, usage: Any) -> Any:
    """What the try says it cost, if that can be told: it must never keep the result from being told."""
    if usage is None:
        return None
    try:
        raw = orjson.dumps(usage, default=_plain)
        if len(raw) > USAGE_BYTES_MAX:
            raise ValueError(f"it has {len(raw)} bytes")
        _refuse_what_cannot_be_stored(task, raw)
    except (TypeError, ValueError, FunctionError) as error:
        log.warning("usage_left_out", function=task.function, reason=str(error))
        return None
    return orjson.loads(raw)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, set | frozenset):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _failed(
    serving: Serving,
    task: TaskRequested,
    context: TaskContext,
    started_at_ms: int,
    error: FunctionError,
) -> TaskFailed:
    retry_after_ms = int(error.retry_after * 1000) if error.retry_after is not None else None
    error.detail = context.hiding.text(error.detail)  # before it is cut, maybe within a secret
    return TaskFailed(
        organization_id=task.organization_id,
        traceparent=task.traceparent,
        execution_id=task.execution_id,
        key=task.key,
        task_id=task.task_id,
        attempt=task.attempt,
        worker=serving.consumer,
        error=context.hiding.json(error.as_error()),
        retryable=error.retryable,
        retry_after_ms=retry_after_ms,
        started_at_ms=started_at_ms,
        usage=_usage(
            task,
            context.hiding.json(error.usage if error.usage is not None else context.usage),
        ),
    )
