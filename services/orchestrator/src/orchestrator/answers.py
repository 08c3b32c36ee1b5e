"""What callers are told: one reply a request, made before the commit so that the batch can owe it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from common import metrics
from common.contracts.base import Request
from common.contracts.executions import CancelExecution
from common.contracts.replies import Reply
from orchestrator.deliveries import CONTROLS, Group, Live
from orchestrator.ports import Acceptance, Store
from workflow.core.effects import Phase


def refuse(
    request: Request, status: int, code: str, detail: str, *, retry_after_s: float | None = None
) -> Reply:
    return Reply(
        organization_id=request.organization_id,
        request_id=request.message_id,
        status=status,
        code=code,
        detail=detail,
        retry_after_s=retry_after_s,
    )


def accepted(request: Request, execution_id: UUID, *, phase: Phase, replayed: bool) -> Reply:
    return Reply(
        organization_id=request.organization_id,
        request_id=request.message_id,
        status=202,
        body={"id": str(execution_id), "status": phase.value, "replayed": replayed},
    )


def replayed(request: Request, fingerprint: str, acceptance: Acceptance) -> Reply:
    """The same key again: the same answer, unless something else was asked for."""
    if acceptance.fingerprint != fingerprint:
        return refuse(
            request,
            422,
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request. Use a new key, or send the first body again.",
        )
    return Reply(
        organization_id=request.organization_id,
        request_id=request.message_id,
        status=202,
        body={"id": str(acceptance.execution_id), "status": "", "replayed": True},
    )


def refusal_of(message: object, live: Live | None) -> tuple[str, Reply] | None:
    """Where to send what, if this is a control that can have no effect on an unfinished execution."""
    if live is None or not isinstance(message, CONTROLS):
        return None
    if message.organization_id != live.facts.organization_id:
        # Another organisation's execution does not exist for whoever asks.
        return message.reply_to, refuse(
            message, 404, "execution_not_found", "There is no execution of this id."
        )
    if live.may_start or isinstance(message, CancelExecution):
        return None
    return message.reply_to, refuse(
        message,
        409,
        "not_started",
        "The execution waits until others of the organisation have finished. It can only be cancelled before that.",
    )


def answer_decided(group: Group) -> None:
    """Replies for an execution whose turn, or whose wait for admission, is about to be committed."""
    live = group.live
    assert live is not None
    phase = live.state.phase
    for delivery in group.deliveries if group.has_controls else ():
        message = delivery.message
        if isinstance(message, CONTROLS) and message.reply_to:
            group.replies.append(
                (
                    message.reply_to,
                    accepted(message, group.execution_id, phase=phase, replayed=False),
                )
            )
    if group.start is not None and group.start.reply_to:
        group.replies.append(
            (
                group.start.reply_to,
                accepted(group.start, group.execution_id, phase=phase, replayed=False),
            )
        )


async def answer_absent(store: Store, groups: Sequence[Group]) -> None:
    """Messages about executions that are finished or unknown: controls are told which, the rest is late and ignored."""
    asking = [
        group
        for group in groups
        if any(
            isinstance(each.message, CONTROLS) and each.message.reply_to
            for each in group.deliveries
        )
    ]
    closed = await store.closed([group.execution_id for group in asking]) if asking else {}
    for group in groups:
        for delivery in group.deliveries:
            message = delivery.message
            if not isinstance(message, CONTROLS):
                metrics.RESULTS_IGNORED.labels(reason="closed").inc()
            elif message.reply_to:
                ended = closed.get(group.execution_id)
                if ended is None or ended.facts.organization_id != message.organization_id:
                    reply = refuse(
                        message, 404, "execution_not_found", "There is no execution of this id."
                    )
                else:
                    reply = refuse(
                        message,
                        409,
                        "already_finished",
                        f"The execution is {ended.status} already.",
                    )
                group.replies.append((message.reply_to, reply))
