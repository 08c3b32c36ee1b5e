"""API keys: made, listed and revoked by administrators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from common.contracts.administration import CreateApiKey, RevokeApiKey
from common.errors import Forbidden, InvalidRequest, Violation
from common.ids import uuid7
from common.security import Principal, Scope, new_api_key
from common.telemetry import current_traceparent
from gateway.answers import json_answer
from gateway.cursors import decode_cursor
from gateway.models.administration import (
    ApiKeysQuery,
    ApiKeyView,
    CreateApiKeyBody,
    KnownApiKeyView,
    RevokeApiKeyQuery,
)
from gateway.models.common import Page
from gateway.reads.database import Row
from gateway.reads.queries import OPERATIONS
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, CONFLICT, INVALID, UNREADABLE, answers, ok
from gateway.routes.pages import page

_LAST_ID: Final = UUID(int=2**128 - 1)


async def create_api_key(call: Call) -> web.Response:
    body = await call.body(CreateApiKeyBody)
    require_rights(call.principal, body.scopes)
    key = new_api_key(uuid7())
    organization_id = body.organization_id or call.organization_id
    expires = body.expires_at
    await call.gateway.owners.command(
        CreateApiKey(
            organization_id=organization_id,
            traceparent=current_traceparent(),
            key_id=key.id,
            key_hash=key.hash,
            name=body.name,
            scopes=tuple(scope.value for scope in body.scopes),
            expires_at_ms=int(expires.timestamp() * 1000) if expires is not None else None,
        )
    )
    answer = {
        "id": key.id,
        "key": key.text,
        "name": body.name,
        "organizationId": organization_id,
        "scopes": body.scopes,
        "expiresAt": expires,
    }
    return json_answer(answer, status=201, headers={"Cache-Control": "no-store"})


async def list_api_keys(call: Call) -> web.Response:
    query = call.query(ApiKeysQuery)
    organization_id = query.organization_id or call.organization_id
    before = _LAST_ID if query.cursor is None else _position(query.cursor)
    rows = await call.gateway.database.rows(
        organization_id,
        OPERATIONS["list_api_keys"],
        organization_id,
        before,
        query.limit + 1,
    )
    return page(
        "api-keys",
        rows,
        query.limit,
        item=lambda row: _known(row, organization_id),
        position=lambda row: [str(row["id"])],
    )


async def revoke_api_key(call: Call) -> web.Response:
    query = call.query(RevokeApiKeyQuery)
    await call.gateway.owners.command(
        RevokeApiKey(
            organization_id=query.organization_id or call.organization_id,
            traceparent=current_traceparent(),
            key_id=call.path_uuid("id", "API key"),
        )
    )
    return web.Response(status=204)


def _known(row: Row, organization_id: UUID) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "organizationId": organization_id,
        "scopes": row["scopes"],
        "createdAt": row["created_at"],
        "expiresAt": row["expires_at"],
        "revokedAt": row["revoked_at"],
    }


def _position(cursor: str) -> UUID:
    try:
        return UUID(str(decode_cursor("api-keys", cursor, types=[str])[0]))
    except ValueError:
        raise InvalidRequest(
            "The cursor is not one of this list's.", code="invalid_parameter"
        ) from None


def require_rights(principal: Principal, scopes: Iterable[Scope]) -> None:
    """Nobody gives away more than they have."""
    missing = sorted(scope for scope in scopes if not principal.may(scope))
    if missing:
        raise Forbidden(
            "A credential cannot have more rights than the one that makes it.",
            code="missing_scope",
            errors=[Violation("/scopes", f"{scope} is not yours to give") for scope in missing],
        )


_TAG: Final = "Administration"

ROUTES = (
    Route(
        method="POST",
        path="/v1/api-keys",
        handler=create_api_key,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="Create an API key; it is shown this once",
        body=CreateApiKeyBody,
        answers=answers(ok(ApiKeyView, "Created.", status=201), INVALID, CONFLICT),
        needs_owner=True,
    ),
    Route(
        method="GET",
        path="/v1/api-keys",
        handler=list_api_keys,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="List API keys, newest first; the keys themselves are kept nowhere",
        query=ApiKeysQuery,
        answers=answers(ok(Page[KnownApiKeyView]), UNREADABLE),
    ),
    Route(
        method="DELETE",
        path="/v1/api-keys/{id}",
        handler=revoke_api_key,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="Revoke an API key; it may work for some seconds more",
        query=RevokeApiKeyQuery,
        answers=answers({204: Answer("Revoked.")}, UNREADABLE, ABSENT),
        needs_owner=True,
    ),
)
