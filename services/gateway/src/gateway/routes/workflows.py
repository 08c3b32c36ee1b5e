"""Workflows: register, validate, look at."""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from common.contracts.administration import RegisterWorkflow
from common.errors import NotFound
from common.security import Scope
from common.telemetry import current_traceparent
from gateway import definitions
from gateway.answers import json_answer, passed
from gateway.bounds.json_text import parse_json
from gateway.cursors import decode_cursor
from gateway.models.common import DNS_LABEL, SEMVER, Page, PageQuery
from gateway.models.workflows import (
    DefinitionBody,
    Registered,
    Validation,
    WorkflowsQuery,
    WorkflowSummary,
    WorkflowView,
)
from gateway.problems import UnsupportedMediaType
from gateway.reads.database import Connection, Row
from gateway.reads.queries import WORKFLOWS
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, CONFLICT, INVALID, UNREADABLE, answers, ok
from gateway.routes.pages import page
from workflow.document.loader import format_of

_LABEL: Final = re.compile(DNS_LABEL)
_SEMVER: Final = re.compile(SEMVER)
_MEDIA_TYPES: Final = ("application/yaml", "application/json")
_LATEST: Final = 2**31 - 1


async def register(call: Call) -> web.Response:
    checked = await _checked(call)
    if checked.config is None:
        raise definitions.refusal(checked)
    reply = await call.gateway.owners.command(
        RegisterWorkflow(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            namespace=checked.namespace,
            name=checked.name,
            semver=checked.semver,
            config=checked.config,
            fingerprint=checked.fingerprint,
        )
    )
    facts: dict[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    location = f"/v1/workflows/{checked.namespace}/{checked.name}/versions/{checked.semver}"
    body = {
        "id": f"{checked.namespace}/{checked.name}",
        "namespace": checked.namespace,
        "name": checked.name,
        "version": checked.semver,
        "registration": facts.get("version"),
        "fingerprint": checked.fingerprint,
        "warnings": checked.warnings,
    }
    headers = {"Location": location, "ETag": f'"{checked.fingerprint}"'}
    return json_answer(body, status=reply.status, headers=headers)


async def validate(call: Call) -> web.Response:
    checked = await _checked(call)
    return json_answer(
        {
            "valid": checked.config is not None,
            "diagnostics": [each.to_json() for each in checked.diagnostics],
        }
    )


async def list_workflows(call: Call) -> web.Response:
    query = call.query(WorkflowsQuery)
    after = ""
    if query.cursor is not None:
        after = str(decode_cursor("workflows", query.cursor, types=[str])[0])
    rows = await call.gateway.database.rows(
        call.organization_id,
        WORKFLOWS["list_workflows"],
        call.organization_id,
        after,
        query.namespace,
        query.limit + 1,
    )
    return page("workflows", rows, query.limit, item=_summary, position=lambda row: [row["id"]])


async def get_workflow(call: Call) -> web.Response:
    row = await call.gateway.database.row(
        call.organization_id, WORKFLOWS["get_workflow"], call.organization_id, workflow_id_of(call)
    )
    return _view(call, row)


async def list_versions(call: Call) -> web.Response:
    query, workflow_id = call.query(PageQuery), workflow_id_of(call)
    before = _LATEST
    if query.cursor is not None:
        before = int(decode_cursor("versions", query.cursor, types=[int])[0])

    async def look(connection: Connection) -> list[Row] | None:
        rows: list[Row] = await connection.fetch(
            WORKFLOWS["list_versions"],
            call.organization_id,
            workflow_id,
            max(0, min(before, _LATEST)),
            query.limit + 1,
        )
        return rows or None

    rows = await call.gateway.database.find(call.organization_id, look) or []
    if not rows and query.cursor is None:
        raise no_such_workflow(workflow_id)
    return page("versions", rows, query.limit, item=_summary, position=lambda row: [row["version"]])


async def get_version(call: Call) -> web.Response:
    semver = call.path("version")
    if _SEMVER.fullmatch(semver) is None:
        raise NotFound("There is no such version.")
    row = await call.gateway.database.row(
        call.organization_id,
        WORKFLOWS["get_workflow_version"],
        call.organization_id,
        workflow_id_of(call),
        semver,
    )
    return _view(call, row)


def workflow_id_of(call: Call) -> str:
    """`namespace/name` from the path. What cannot be a name names nothing."""
    namespace, name = call.path("namespace"), call.path("name")
    if _LABEL.fullmatch(namespace) is None or _LABEL.fullmatch(name) is None:
        raise no_such_workflow(f"{namespace}/{name}")
    return f"{namespace}/{name}"


def no_such_workflow(workflow_id: str) -> NotFound:
    return NotFound(f"There is no workflow {workflow_id}.", code="workflow_not_found")


async def _checked(call: Call) -> definitions.Checked:
    media_type = call.request.headers.get("Content-Type", "application/json")
    kind = format_of(media_type)
    if kind is None:
        raise UnsupportedMediaType(
            "Definitions come as application/yaml or application/json.",
            extensions={"accepted": list(_MEDIA_TYPES)},
        )
    raw = await call.raw_body()
    if kind == "json":
        # The same bounds as for every other body, with the same answers.
        parse_json(raw, depth_max=call.gateway.settings.max_json_depth)
    functions = await call.gateway.catalogue.own_functions()
    return await definitions.check(raw, media_type, functions)


def _summary(row: Row) -> dict[str, Any]:
    return {
        **_identity(row),
        "title": passed(row["title"]),
        "summary": passed(row["summary"]),
        "tags": passed(row["tags"]),
    }


def _identity(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "namespace": row["namespace"],
        "name": row["name"],
        "version": row["semver"],
        "registration": row["version"],
        "fingerprint": row["fingerprint"],
        "createdAt": row["created_at"],
    }


def _view(call: Call, row: Row | None) -> web.Response:
    if row is None:
        raise NotFound(
            "There is no such workflow, or no such version of it.", code="workflow_not_found"
        )
    etag = f'"{row["fingerprint"]}"'
    if etag in call.request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers={"ETag": etag})
    body = {**_identity(row), "definition": passed(row["config"])}
    return json_answer(body, headers={"ETag": etag})


_TAG: Final = "Workflows"
_WORKFLOW: Final = "/v1/workflows/{namespace}/{name}"
_NOT_MODIFIED: Final = {304: Answer("`If-None-Match` names what there is.")}

ROUTES = (
    Route(
        method="POST",
        path="/v1/workflows",
        handler=register,
        tag=_TAG,
        scope=Scope.WORKFLOWS_WRITE,
        summary="Register a definition",
        description="Definitions are immutable: the same version with the same content again is answered 200, with other content 409.",
        body=DefinitionBody,
        body_media_types=_MEDIA_TYPES,
        answers=answers(
            ok(Registered, "Registered.", status=201),
            ok(Registered, "It was registered before, with the same content."),
            INVALID,
            CONFLICT,
        ),
        needs_owner=True,
    ),
    Route(
        method="POST",
        path="/v1/workflows/validate",
        handler=validate,
        tag=_TAG,
        scope=Scope.WORKFLOWS_READ,
        summary="Say everything that is wrong with a definition",
        body=DefinitionBody,
        body_media_types=_MEDIA_TYPES,
        answers=answers(ok(Validation), INVALID),
    ),
    Route(
        method="GET",
        path="/v1/workflows",
        handler=list_workflows,
        tag=_TAG,
        scope=Scope.WORKFLOWS_READ,
        summary="List workflows, each with its newest registration",
        query=WorkflowsQuery,
        answers=answers(ok(Page[WorkflowSummary]), UNREADABLE),
    ),
    Route(
        method="GET",
        path=_WORKFLOW,
        handler=get_workflow,
        tag=_TAG,
        scope=Scope.WORKFLOWS_READ,
        summary="Show the newest registration of a workflow",
        answers=answers(ok(WorkflowView), _NOT_MODIFIED, ABSENT),
    ),
    Route(
        method="GET",
        path=f"{_WORKFLOW}/versions",
        handler=list_versions,
        tag=_TAG,
        scope=Scope.WORKFLOWS_READ,
        summary="List the registrations of a workflow, newest first",
        query=PageQuery,
        answers=answers(ok(Page[WorkflowSummary]), UNREADABLE, ABSENT),
    ),
    Route(
        method="GET",
        path=f"{_WORKFLOW}/versions/{{version}}",
        handler=get_version,
        tag=_TAG,
        scope=Scope.WORKFLOWS_READ,
        summary="Show one version of a workflow",
        answers=answers(ok(WorkflowView), _NOT_MODIFIED, ABSENT),
    ),
)
