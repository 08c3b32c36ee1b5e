"""Secrets of an organisation: set, listed by name, deleted. Nothing gives a value back."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from aiohttp import web

from common.contracts.administration import DeleteSecret, SetSecret
from common.errors import InvalidRequest, TooLarge, Unprocessable, Violation
from common.security import Scope
from common.security.sealed import seal_secret
from common.telemetry import current_traceparent
from gateway.answers import json_answer
from gateway.cursors import decode_cursor
from gateway.models.common import Page, PageQuery
from gateway.models.secrets import NAME_PATTERN, SecretBody, SecretView
from gateway.reads.database import Row
from gateway.reads.queries import OPERATIONS
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, INVALID, UNREADABLE, answers, ok
from gateway.routes.pages import page

VALUE_BYTES_MAX: Final = 32 * 1024
"""A secret travels with every task that is given one."""

_NAME: Final = re.compile(NAME_PATTERN)


async def put_secret(call: Call) -> web.Response:
    name = _name(call)
    body = await call.body(SecretBody)
    raw = orjson.dumps(body.value)
    if len(raw) > VALUE_BYTES_MAX:
        raise TooLarge(
            f"The secret is larger than {VALUE_BYTES_MAX} bytes.",
            extensions={"limit": VALUE_BYTES_MAX},
        )
    vault = call.gateway.vault
    if not vault.has_key:
        raise Unprocessable(
            "Secrets cannot be kept here: ENCRYPTION_KEY is not set.", code="secrets_disabled"
        )
    reply = await call.gateway.owners.command(
        SetSecret(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            name=name,
            envelope=seal_secret(vault, call.organization_id, name, raw),
        )
    )
    return json_answer(reply.body)


async def list_secrets(call: Call) -> web.Response:
    query = call.query(PageQuery)
    after = ""
    if query.cursor is not None:
        after = str(decode_cursor("secrets", query.cursor, types=[str])[0])
    rows = await call.gateway.database.rows(
        call.organization_id,
        OPERATIONS["list_secrets"],
        call.organization_id,
        after,
        query.limit + 1,
    )
    return page("secrets", rows, query.limit, item=_view, position=lambda row: [row["name"]])


async def delete_secret(call: Call) -> web.Response:
    await call.gateway.owners.command(
        DeleteSecret(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            name=_name(call),
        )
    )
    return web.Response(status=204)


def _name(call: Call) -> str:
    name = call.path("name")
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            "The name of a secret has at most 128 letters, digits, `_`, `.` and `-`.",
            code="invalid_parameter",
            errors=[Violation("name", "cannot be the name of a secret")],
        )
    return name


def _view(row: Row) -> dict[str, Any]:
    return {"name": row["name"], "version": row["version"], "updatedAt": row["updated_at"]}


_TAG: Final = "Secrets"

ROUTES = (
    Route(
        method="PUT",
        path="/v1/secrets/{name}",
        handler=put_secret,
        tag=_TAG,
        scope=Scope.SECRETS_WRITE,
        summary="Set a secret",
        description=(
            "It is encrypted before it leaves the gateway. Workflows that list its name in `use.secrets` read it as "
            "`$secrets.NAME`, from their next step on."
        ),
        body=SecretBody,
        answers=answers(ok(SecretView, "Set."), INVALID),
        needs_owner=True,
    ),
    Route(
        method="GET",
        path="/v1/secrets",
        handler=list_secrets,
        tag=_TAG,
        scope=Scope.SECRETS_WRITE,
        summary="List secrets by name; values are never shown",
        query=PageQuery,
        answers=answers(ok(Page[SecretView]), UNREADABLE),
    ),
    Route(
        method="DELETE",
        path="/v1/secrets/{name}",
        handler=delete_secret,
        tag=_TAG,
        scope=Scope.SECRETS_WRITE,
        summary="Delete a secret; executions that still read it fault",
        answers=answers({204: Answer("Deleted.")}, UNREADABLE, ABSENT),
        needs_owner=True,
    ),
)
