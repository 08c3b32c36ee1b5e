"""Executions: start, list, show, control."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from common.contracts.executions import CancelExecution, ResumeExecution, SuspendExecution
from common.errors import NotFound
from common.security import Scope
from common.telemetry import current_traceparent
from gateway.accepting import Acceptance, accept, idempotency_key
from gateway.answers import json_answer, passed
from gateway.awaiting import read_execution, wait_for_end
from gateway.bounds.validation import validated
from gateway.cursors import decode_cursor
from gateway.models.common import Page
from gateway.models.executions import (
    Accepted,
    ControlBody,
    Controlled,
    ExecutionsQuery,
    ExecutionSummary,
    ExecutionView,
    StartBody,
    StartQuery,
)
from gateway.reads.database import Row
from gateway.reads.executions import list_statement
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, CONFLICT, INVALID, UNREADABLE, answers, ok
from gateway.routes.pages import page
from gateway.routes.workflows import workflow_id_of
from gateway.waiting import parse_waits, waiting_for

_LIST: Final = "executions"


async def start(call: Call) -> web.Response:
    workflow_id = workflow_id_of(call)
    query = call.query(StartQuery) if call.request.query_string else StartQuery(wait=None)
    body = await call.body(StartBody)
    key = idempotency_key(call.request.headers.get("Idempotency-Key"))
    async with AsyncExitStack() as stack:
        if query.wait:
            # Listening begins before the start is sent, so that no end can be missed.
            feed = await stack.enter_async_context(call.gateway.hub.feed(call.organization_id))
            acceptance = await accept(call.gateway, call.organization_id, workflow_id, body, key)
            row = await wait_for_end(call, feed, acceptance, query.wait)
            if row is not None:
                return json_answer(view(row), headers=_headers(acceptance, key))
        else:
            acceptance = await accept(call.gateway, call.organization_id, workflow_id, body, key)
    return await _accepted(call, acceptance, key)


async def list_executions(call: Call) -> web.Response:
    query = call.query(ExecutionsQuery)
    before = None
    if query.cursor is not None:
        before = _uuid_of(str(decode_cursor(_LIST, query.cursor, types=[str])[0]))
    statement = list_statement(
        call.organization_id,
        limit=query.limit + 1,
        before=before,
        statuses=query.status,
        workflow=query.workflow,
        labels=query.label,
        created_after=query.created_after,
        created_before=query.created_before,
        parent=_uuid_of(query.parent) if query.parent is not None else None,
    )
    rows = await call.gateway.database.rows(
        call.organization_id, statement.text, *statement.arguments
    )
    return page(_LIST, rows, query.limit, item=summary, position=lambda row: [str(row["id"])])


async def show(call: Call) -> web.Response:
    execution_id = call.path_uuid("id", "execution")
    row = await read_execution(call.gateway, call.organization_id, execution_id)
    if row is None:
        raise no_such_execution()
    return json_answer(view(row))


async def cancel(call: Call) -> web.Response:
    return await _control(call, CancelExecution)


async def suspend(call: Call) -> web.Response:
    return await _control(call, SuspendExecution)


async def resume(call: Call) -> web.Response:
    return await _control(call, ResumeExecution)


async def _control(
    call: Call, kind: type[CancelExecution | SuspendExecution | ResumeExecution]
) -> web.Response:
    execution_id = call.path_uuid("id", "execution")
    body = ControlBody.model_validate({})
    if call.request.can_read_body:
        body = validated(ControlBody, await call.json())
    reply = await call.gateway.owners.control(
        kind(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            execution_id=execution_id,
            reason=body.reason,
        ),
        execution_id,
    )
    facts: dict[str, Any] = reply.body if isinstance(reply.body, dict) else {}
    answer = {
        "id": str(execution_id),
        "status": facts.get("status", ""),
        "links": links(str(execution_id)),
    }
    return json_answer(answer, status=202)


async def _accepted(call: Call, acceptance: Acceptance, key: str) -> web.Response:
    status = acceptance.status
    if not status:  # accepted by an earlier request: where it stands now
        row = await read_execution(call.gateway, call.organization_id, UUID(acceptance.id))
        status = row["status"] if row is not None else "pending"
    body = {
        "id": acceptance.id,
        "status": status,
        "idempotencyKey": key,
        "links": links(acceptance.id),
    }
    return json_answer(body, status=202, headers=_headers(acceptance, key))


def _headers(acceptance: Acceptance, key: str) -> dict[str, str]:
    headers = {"Location": f"/v1/executions/{acceptance.id}", "Idempotency-Key": key}
    if acceptance.replayed:
        headers["Idempotent-Replayed"] = "true"
    return headers


def links(execution_id: str) -> dict[str, str]:
    base = f"/v1/executions/{execution_id}"
    return {
        "self": base,
        "events": f"{base}/events",
        "history": f"{base}/history",
        "tasks": f"{base}/tasks",
    }


def no_such_execution() -> NotFound:
    return NotFound("There is no execution of this id.", code="execution_not_found")


def summary(row: Row) -> dict[str, Any]:
    namespace, _, name = row["workflow_id"].partition("/")
    return {
        "id": row["id"],
        "workflow": {"namespace": namespace, "name": name, "version": row["semver"]},
        "status": row["status"],
        "error": passed(row["error"]),
        "labels": passed(row["labels"]),
        "parentId": row["parent_id"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
        "startedAt": row["started_at"],
        "finishedAt": row["finished_at"],
    }


def view(row: Row) -> dict[str, Any]:
    return {
        **summary(row),
        "input": passed(row["input_payload"]),
        "output": passed(row["output_payload"]),
        "waitingFor": waiting_for(parse_waits(row["waits"])),
    }


def _uuid_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise no_such_execution() from None


_TAG: Final = "Executions"
_ACCEPTED_HEADERS: Final = {
    "Location": "The execution.",
    "Idempotency-Key": "The caller's key, or the one made for this request.",
    "Idempotent-Replayed": "`true` when an earlier request with this key had started it.",
}


def _control_route(action: str, handler: Any, sentence: str) -> Route:
    return Route(
        method="POST",
        path=f"/v1/executions/{{id}}/{action}",
        handler=handler,
        tag=_TAG,
        scope=Scope.EXECUTIONS_WRITE,
        summary=sentence,
        body=ControlBody,
        answers=answers(ok(Controlled, "Committed.", status=202), INVALID, ABSENT, CONFLICT),
        needs_owner=True,
    )


ROUTES = (
    Route(
        method="POST",
        path="/v1/workflows/{namespace}/{name}/executions",
        handler=start,
        tag=_TAG,
        scope=Scope.EXECUTIONS_WRITE,
        summary="Start an execution",
        description=(
            "202 means that the execution is committed in PostgreSQL and will run. Repeating a request with the same "
            "`Idempotency-Key` gives the same execution; after a 503 with code `outcome_unknown` that is how to learn "
            "what happened."
        ),
        body=StartBody,
        query=StartQuery,
        idempotent_by_key=True,
        answers=answers(
            {202: Answer("Committed.", Accepted, headers=_ACCEPTED_HEADERS)},
            {
                200: Answer(
                    "With `wait`: it has finished.", ExecutionView, headers=_ACCEPTED_HEADERS
                )
            },
            INVALID,
            ABSENT,
        ),
        needs_owner=True,
    ),
    Route(
        method="GET",
        path="/v1/executions",
        handler=list_executions,
        tag=_TAG,
        scope=Scope.EXECUTIONS_READ,
        summary="List executions, newest first",
        query=ExecutionsQuery,
        answers=answers(ok(Page[ExecutionSummary]), UNREADABLE),
    ),
    Route(
        method="GET",
        path="/v1/executions/{id}",
        handler=show,
        tag=_TAG,
        scope=Scope.EXECUTIONS_READ,
        summary="Show an execution, and why it is waiting",
        answers=answers(ok(ExecutionView), ABSENT),
    ),
    _control_route("cancel", cancel, "Cancel an execution"),
    _control_route(
        "suspend", suspend, "Suspend an execution: nothing new opens, what runs is recorded"
    ),
    _control_route("resume", resume, "Resume a suspended execution"),
)
