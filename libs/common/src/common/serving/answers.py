"""Requests that are answered on the caller's reply stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.contracts.base import Request, encode
from common.contracts.replies import Reply
from common.errors import EngineError, Unavailable
from common.logs import get_logger
from common.serving.outcomes import TimedOut
from common.serving.ports import Answer
from common.telemetry import SpanKind, span

if TYPE_CHECKING:
    from common.serving.steps import Serving

log = get_logger(__name__)


async def answer_request(serving: Serving, request: Request) -> tuple[tuple[str, bytes], ...]:
    """Perform the request and address its reply; nothing where nobody waits for one."""
    with span(
        type(request).__name__,
        parent_traceparent=request.traceparent or None,
        kind=SpanKind.CONSUMER,
    ):
        reply = await _reply(serving, request)
    return ((request.reply_to, encode(reply)),) if request.reply_to else ()


async def _reply(serving: Serving, request: Request) -> Reply:
    try:
        answer = await _perform(serving, request)
    except EngineError as error:
        return _refusal(request, error)
    except TimedOut:
        return _refusal(request, Unavailable("There was no time left to finish this request."))
    except Exception:
        log.exception("request_failed", request=type(request).__name__)
        return _refusal(request, EngineError("The request failed; the log has the reason."))
    return Reply(
        organization_id=request.organization_id,
        traceparent=request.traceparent,
        request_id=request.message_id,
        status=answer.status,
        body=answer.body,
    )


async def _perform(serving: Serving, request: Request) -> Answer:
    handler = serving.requests.get(type(request))
    if handler is None:
        raise Unavailable(f"Nobody on queue {serving.queue!r} serves {type(request).__name__}.")
    seconds: float | None = None
    if request.deadline_ms is not None:
        seconds = (request.deadline_ms - serving.clock_ms()) / 1000
        if seconds <= 0:
            raise Unavailable("The request came after its deadline.")
    answer = await serving.within(handler(request), seconds)
    assert isinstance(answer, Answer), f"handlers return Answer, not {type(answer).__name__}"
    return answer


def _refusal(request: Request, error: EngineError) -> Reply:
    return Reply(
        organization_id=request.organization_id,
        traceparent=request.traceparent,
        request_id=request.message_id,
        status=error.http_status,
        code=error.code,
        detail=error.detail,
        body={"errors": [violation.as_json() for violation in error.errors]}
        if error.errors
        else None,
        retry_after_s=error.retry_after,
    )
