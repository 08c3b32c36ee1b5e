"""Organisations, tokens and dead letters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from common.contracts.administration import CreateOrganization, RedriveDeadLetter
from common.errors import NotFound, Unprocessable
from common.ids import uuid7
from common.security import Principal, Scope
from common.telemetry import current_traceparent
from gateway.answers import json_answer
from gateway.cursors import decode_cursor
from gateway.models.administration import (
    CreateOrganizationBody,
    CreateTokenBody,
    DeadLettersQuery,
    DeadLetterView,
    OrganizationView,
    Redriven,
    TokenView,
)
from gateway.models.common import Page
from gateway.reads.database import Row
from gateway.reads.queries import OPERATIONS
from gateway.route import Call, Route
from gateway.routes.answers import ABSENT, CONFLICT, INVALID, UNREADABLE, answers, ok
from gateway.routes.api_keys import require_rights
from gateway.routes.pages import page

_LAST_ID: Final = UUID(int=2**128 - 1)


async def create_organization(call: Call) -> web.Response:
    body = await call.body(CreateOrganizationBody)
    new_id = uuid7()
    reply = await call.gateway.owners.command(
        CreateOrganization(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            new_organization_id=new_id,
            name=body.name,
            max_concurrent_executions=body.max_concurrent_executions,
        )
    )
    facts: dict[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    answer = {
        "id": facts.get("id", str(new_id)),
        "name": body.name,
        "maxConcurrentExecutions": body.max_concurrent_executions,
    }
    return json_answer(answer, status=reply.status)


async def create_token(call: Call) -> web.Response:
    """A token for the caller's organisation, with the caller's rights or fewer."""
    body = await call.body(CreateTokenBody)
    issuer, settings = call.gateway.issuer, call.gateway.settings
    if issuer is None:
        raise Unprocessable(
            "Tokens cannot be issued here: JWT_SECRET is not set.", code="tokens_disabled"
        )
    scopes = frozenset(body.scopes) if body.scopes is not None else call.principal.scopes
    require_rights(call.principal, scopes)
    seconds = int(settings.jwt_expiry.total_seconds())
    if body.expires_in is not None:
        seconds = min(seconds, body.expires_in)
    principal = Principal(
        organization_id=call.organization_id,
        subject=body.subject or call.principal.subject,
        scopes=scopes,
        groups=call.principal.groups,
    )
    answer = {
        "accessToken": issuer.issue(principal, expiry=timedelta(seconds=seconds)),
        "tokenType": "Bearer",
        "expiresIn": seconds,
        "scopes": sorted(scopes),
    }
    return json_answer(answer, status=201, headers={"Cache-Control": "no-store"})


async def list_dead_letters(call: Call) -> web.Response:
    query = call.query(DeadLettersQuery)
    before = _LAST_ID
    if query.cursor is not None:
        before = _uuid_of(str(decode_cursor("dead-letters", query.cursor, types=[str])[0]))
    rows = await call.gateway.database.rows(
        call.organization_id,
        OPERATIONS["list_dead_letters"],
        call.organization_id,
        before,
        query.limit + 1,
        query.redriven,
    )
    return page(
        "dead-letters", rows, query.limit, item=_dead_letter, position=lambda row: [str(row["id"])]
    )


async def redrive(call: Call) -> web.Response:
    dead_letter_id = call.path_uuid("id", "dead letter")
    await call.gateway.owners.command(
        RedriveDeadLetter(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            dead_letter_id=dead_letter_id,
        )
    )
    return json_answer({"id": dead_letter_id, "status": "redriven"}, status=202)


def _dead_letter(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "executionId": row["execution_id"],
        "stream": row["stream"],
        "reason": row["reason"],
        "detail": row["detail"],
        "size": row["size"],
        "createdAt": row["created_at"],
        "redrivenAt": row["redriven_at"],
    }


def _uuid_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("There is no dead letter of this id.") from None


_TAG: Final = "Administration"

ROUTES = (
    Route(
        method="POST",
        path="/v1/organizations",
        handler=create_organization,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="Create an organisation",
        body=CreateOrganizationBody,
        answers=answers(ok(OrganizationView, "Created.", status=201), INVALID, CONFLICT),
        needs_owner=True,
    ),
    Route(
        method="POST",
        path="/v1/tokens",
        handler=create_token,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="Issue a token with at most one's own rights",
        body=CreateTokenBody,
        answers=answers(ok(TokenView, "Issued.", status=201), INVALID),
    ),
    Route(
        method="GET",
        path="/v1/dead-letters",
        handler=list_dead_letters,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="List messages that were set aside, newest first",
        query=DeadLettersQuery,
        answers=answers(ok(Page[DeadLetterView]), UNREADABLE),
    ),
    Route(
        method="POST",
        path="/v1/dead-letters/{id}/redrive",
        handler=redrive,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="Publish a message that was set aside once more",
        answers=answers(ok(Redriven, "Published.", status=202), ABSENT),
        needs_owner=True,
    ),
)
