"""Accepting an execution: from a checked request to the owner's answer, or to what is known without one."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from common.contracts.base import INLINE_INPUT_BYTES_MAX
from common.contracts.executions import StartExecution
from common.errors import InvalidRequest, OutcomeUnknown, Unavailable, Unprocessable, Violation
from common.ids import uuid7
from common.logs import get_logger
from common.telemetry import current_traceparent
from gateway.context import Gateway
from gateway.models.executions import StartBody
from gateway.owners import accepted
from gateway.reads.queries import EXECUTIONS

log = get_logger(__name__)

ROUTE: Final = "executions"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An execution that is committed."""

    id: str
    status: str
    """Empty where only the key is known: it was accepted by an earlier request."""

    replayed: bool


def idempotency_key(header: str | None) -> str:
    """The caller's key, or one made here; it is returned, so that repeating is always safe."""
    if header is None:
        return secrets.token_hex(16)
    key = header.strip().strip('"')
    if _KEY.fullmatch(key) is None:
        raise InvalidRequest(
            "The Idempotency-Key must be 1 to 255 printable ASCII characters without spaces.",
            code="invalid_parameter",
            errors=[Violation("Idempotency-Key", "must be 1 to 255 printable ASCII characters")],
        )
    return key


def fingerprint(workflow_id: str, body: StartBody, raw_input: bytes) -> str:
    """Equal for requests that ask for the same, whatever the order of their keys."""
    digest = hashlib.sha256(raw_input)
    digest.update(
        orjson.dumps([workflow_id, body.version, body.labels], option=orjson.OPT_SORT_KEYS)
    )
    return digest.hexdigest()


async def accept(
    gateway: Gateway, organization_id: UUID, workflow_id: str, body: StartBody, key: str
) -> Acceptance:
    """Returns once the execution is committed. Repeating with the same key is safe after anything else."""
    execution_id = uuid7()
    # Before anything is stored for it: a start that cannot be accepted now leaves nothing behind.
    gateway.owners.require_room()
    raw_input = orjson.dumps(body.input, option=orjson.OPT_SORT_KEYS)
    request = StartExecution(
        organization_id=organization_id,
        traceparent=current_traceparent(),
        execution_id=execution_id,
        workflow_id=workflow_id,
        workflow_version=body.version,
        labels=body.labels,
        route=ROUTE,
        idempotency_key=key,
        fingerprint=fingerprint(workflow_id, body, raw_input),
        **await _input(gateway, organization_id, execution_id, body.input, raw_input),
    )
    try:
        reply = accepted(await gateway.owners.start(request, execution_id))
    except OutcomeUnknown:
        return await _look_up(gateway, request)
    facts: dict[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    return Acceptance(facts["id"], facts.get("status") or "", bool(facts.get("replayed", False)))


async def _input(
    gateway: Gateway, organization_id: UUID, execution_id: UUID, value: Any, raw: bytes
) -> dict[str, Any]:
    """Small inputs travel in the message, large ones are stored first and named in it."""
    if len(raw) <= INLINE_INPUT_BYTES_MAX:
        return {"input": value}
    reference = await gateway.payloads.store(organization_id, execution_id, raw)
    return {"input_ref": reference}


async def _look_up(gateway: Gateway, request: StartExecution) -> Acceptance:
    """The request was sent and no answer came: PostgreSQL knows whether it was accepted by now."""
    try:
        async with gateway.database.primary.transaction(request.organization_id) as connection:
            row = await connection.fetchrow(
                EXECUTIONS["find_idempotency_key"],
                request.organization_id,
                request.route,
                request.idempotency_key,
            )
    except Unavailable:
        row = None
    if row is None:
        raise OutcomeUnknown(
            "The start was sent, but no answer came in time. It may still be accepted: repeat it with the same "
            "Idempotency-Key to learn the outcome; that never starts it twice.",
            extensions={
                "executionId": str(request.execution_id),
                "idempotencyKey": request.idempotency_key,
            },
        )
    log.info("start_found_by_key", execution_id=str(row["execution_id"]))
    if row["fingerprint"] != request.fingerprint:
        raise Unprocessable(
            "This Idempotency-Key was used for another request. Use a new key, or send the first body again.",
            code="idempotency_key_reused",
        )
    accepted_id = str(row["execution_id"])
    return Acceptance(accepted_id, "", replayed=accepted_id != str(request.execution_id))
