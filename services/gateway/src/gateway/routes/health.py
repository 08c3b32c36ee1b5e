"""What the system says about itself."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from common.security import Scope
from gateway.answers import json_answer
from gateway.models.administration import HealthView, Invariants
from gateway.models.workflows import FunctionList
from gateway.reads.database import Row
from gateway.reads.queries import OPERATIONS
from gateway.route import Answer, Call, Route
from gateway.routes.answers import answers, ok
from workflow.document.catalog import BUILT_IN, FunctionSpec

_NO_STORE: Final = {"Cache-Control": "no-store"}
ORPHANS_MAX: Final = 1000
EXAMPLES_MAX: Final = 100


async def health(_call: Call) -> web.Response:
    return json_answer({"status": "ok", "service": "gateway"}, headers=_NO_STORE)


async def ready(call: Call) -> web.Response:
    reasons = await call.gateway.health.reasons()
    if not reasons:
        return json_answer({"status": "ready", "service": "gateway"}, headers=_NO_STORE)
    body = {"status": "not ready", "service": "gateway", "reasons": reasons}
    return json_answer(body, status=503, headers=_NO_STORE)


async def invariants(call: Call) -> web.Response:
    """Counted from PostgreSQL now, from one snapshot, for the caller's organisation."""
    organization_id = call.organization_id
    async with call.gateway.database.primary.transaction(
        organization_id, mode="ISOLATION LEVEL REPEATABLE READ READ ONLY"
    ) as connection:
        unfinished = await connection.fetchval(OPERATIONS["count_unfinished"], organization_id)
        orphans = await connection.fetch(OPERATIONS["orphans"], organization_id, ORPHANS_MAX)
        waits = await connection.fetch(OPERATIONS["waits_by_kind"], organization_id)
    body = {
        "ok": not orphans,
        "unfinished": unfinished,
        "orphans": len(orphans),
        "examples": [_orphan(row) for row in orphans[:EXAMPLES_MAX]],
        "waits": [
            {"kind": row["kind"], "waits": row["waits"], "oldest": row["oldest"]} for row in waits
        ],
    }
    return json_answer(body, headers=_NO_STORE)


async def functions(call: Call) -> web.Response:
    own = await call.gateway.catalogue.own_functions()
    items = [_function(spec, built_in=True) for spec in BUILT_IN]
    items += [_function(spec, built_in=False) for spec in own]
    return json_answer({"items": sorted(items, key=lambda item: (item["name"], item["version"]))})


def _orphan(row: Row) -> dict[str, Any]:
    namespace, _, name = row["workflow_id"].partition("/")
    return {
        "id": row["id"],
        "workflow": {"namespace": namespace, "name": name, "version": row["semver"]},
        "status": row["status"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


def _function(spec: FunctionSpec, *, built_in: bool) -> dict[str, Any]:
    return {
        "name": spec.name,
        "version": spec.version,
        "queue": spec.queue,
        "description": spec.description,
        "inputSchema": dict(spec.input_schema) or None,
        "outputSchema": dict(spec.output_schema) or None,
        "atMostOnce": spec.at_most_once,
        "builtIn": built_in,
    }


_TAG: Final = "Operations"

ROUTES = (
    Route(
        method="GET",
        path="/health",
        handler=health,
        tag=_TAG,
        summary="Say that the process is alive",
        answers=answers(ok(HealthView)),
    ),
    Route(
        method="GET",
        path="/ready",
        handler=ready,
        tag=_TAG,
        summary="Say whether requests can be served, or why not",
        answers=answers(ok(HealthView), {503: Answer("Not now.", HealthView)}),
    ),
    Route(
        method="GET",
        path="/v1/health/invariants",
        handler=invariants,
        tag=_TAG,
        scope=Scope.ADMIN,
        summary="Count unfinished executions without a live reason: it must be none",
        answers=answers(ok(Invariants)),
    ),
    Route(
        method="GET",
        path="/v1/functions",
        handler=functions,
        tag="Workflows",
        scope=Scope.WORKFLOWS_READ,
        summary="List the functions that workflows may call",
        answers=answers(ok(FunctionList)),
    ),
)
