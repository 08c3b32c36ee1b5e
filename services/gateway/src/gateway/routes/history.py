"""What happened in an execution: its history, its tasks, and both as they come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from common.errors import InvalidRequest, Violation
from common.security import Scope
from gateway.answers import json_answer, passed
from gateway.models.events import AfterSequence
from gateway.models.executions import HistoryPage, HistoryQuery, TaskList
from gateway.models.workflows import NoParameters
from gateway.reads.database import Connection
from gateway.reads.history import Subject, Turn, read_subject, read_turns
from gateway.reads.queries import EXECUTIONS, HISTORY
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, UNREADABLE, answers, ok
from gateway.routes.executions import no_such_execution
from gateway.sse.execution_stream import ExecutionStream
from gateway.sse.frames import EventStream, primer
from gateway.timeline import instant, tasks_of
from gateway.waiting import parse_waits

EVENTS_MAX: Final = 20_000
"""About as many events the list of tasks is derived from; an execution with more is followed by its events."""

TURNS_AT_ONCE: Final = 1000

OUTPUTS_BYTES_MAX: Final = 1024 * 1024
"""Large outputs are shown with their tasks up to this much in all."""

_SEQUENCE: Final = re.compile(r"\d{1,9}")


async def history(call: Call) -> web.Response:
    execution_id = call.path_uuid("id", "execution")
    query = call.query(HistoryQuery)

    async def look(connection: Connection) -> tuple[list[Turn], bool] | None:
        found = await read_turns(
            connection, call.organization_id, execution_id, after=query.after, limit=query.limit
        )
        return found if found[0] else None

    found = await call.gateway.database.find(call.organization_id, look, of=execution_id)
    if found is None:
        await _require(call, execution_id)
    turns, more = found or ([], False)
    items: list[dict[str, Any]] = []
    for turn in turns:
        items.extend(_public(number, event) for number, event in turn.events_after(query.after))
        if len(items) >= query.limit:
            more = True
            break
    following = items[-1]["sequence"] if more and items else None
    return json_answer({"items": items, "nextAfter": following})


async def tasks(call: Call) -> web.Response:
    execution_id = call.path_uuid("id", "execution")
    call.query(NoParameters)
    organization_id = call.organization_id

    async def look(connection: Connection) -> dict[str, Any] | None:
        row = await connection.fetchrow(EXECUTIONS["get_execution"], organization_id, execution_id)
        if row is None:
            return None
        events, complete = await _first_events(connection, organization_id, execution_id)
        found = tasks_of(events, parse_waits(row["waits"]))
        await _add_outputs(connection, organization_id, execution_id, found)
        return {"items": found, "complete": complete}

    shown = await call.gateway.database.find(organization_id, look, of=execution_id)
    if shown is None:
        raise no_such_execution()
    return json_answer(shown)


async def _first_events(
    connection: Connection, organization_id: UUID, execution_id: UUID
) -> tuple[list[dict[str, Any]], bool]:
    """The first events of an execution, and whether these are all."""
    events: list[dict[str, Any]] = []
    while len(events) < EVENTS_MAX:
        turns, more = await read_turns(
            connection, organization_id, execution_id, after=len(events), limit=TURNS_AT_ONCE
        )
        events += [event for turn in turns for _, event in turn.events_after(len(events))]
        if not more:
            return events, True
    return events, False


async def events(call: Call) -> web.StreamResponse:
    """From the first event, or from after the one that the client names; ends with the terminal event."""
    execution_id = call.path_uuid("id", "execution")
    after = _last_sequence(call)
    subject = await _require(call, execution_id)
    gateway = call.gateway
    if subject.is_finished and not await _has_more(call, execution_id, after):
        # Everything has been delivered: 204 tells a browser's EventSource not to connect again.
        return web.Response(status=204)
    async with (
        gateway.hub.stream_slot(),
        gateway.hub.feed(call.organization_id) as feed,
        EventStream(call.request) as stream,
    ):
        with (
            feed.watch(str(execution_id)) as watch,
            gateway.deltas.listen(str(execution_id), watch.woken) as listener,
        ):
            await stream.write(primer(str(after)))
            await ExecutionStream(
                stream=stream,
                server=gateway.database.primary,
                organization_id=call.organization_id,
                execution_id=execution_id,
                subject=subject,
                after=after,
            ).run(watch, listener, gateway.hub.closing)
        return await stream.finish()


async def _require(call: Call, execution_id: UUID) -> Subject:
    subject = await read_subject(call.gateway.database.primary, call.organization_id, execution_id)
    if subject is None:
        raise no_such_execution()
    return subject


async def _has_more(call: Call, execution_id: UUID, after: int) -> bool:
    async with call.gateway.database.primary.transaction(call.organization_id) as connection:
        turns, _ = await read_turns(
            connection, call.organization_id, execution_id, after=after, limit=1
        )
    return bool(turns)


def _last_sequence(call: Call) -> int:
    """`Last-Event-ID` on a reconnect wins over the `?after=` of the URL, which is older."""
    text = call.request.headers.get("Last-Event-ID") or call.query(AfterSequence).after or "0"
    if _SEQUENCE.fullmatch(text) is None:
        raise InvalidRequest(
            "`after` and `Last-Event-ID` must be the sequence of an event.",
            code="invalid_parameter",
            errors=[Violation("after", "must be a sequence number")],
        )
    return int(text)


def _public(sequence: int, event: dict[str, Any]) -> dict[str, Any]:
    return {"sequence": sequence, **event, "at": instant(event["at"])}


async def _add_outputs(
    connection: Connection,
    organization_id: UUID,
    execution_id: UUID,
    found: Sequence[dict[str, Any]],
) -> None:
    """Show large outputs too, the first ones first, as far as they fit."""
    room = OUTPUTS_BYTES_MAX
    wanted: dict[UUID, dict[str, Any]] = {}
    for task in found:
        size = task.get("outputSize")
        if size is not None and "outputRef" in task and size <= room and task["output"] is None:
            room -= size
            wanted[UUID(task["outputRef"])] = task
    if not wanted:
        return
    rows = await connection.fetch(HISTORY["payloads"], organization_id, execution_id, list(wanted))
    for row in rows:
        task = wanted[UUID(int=row["id"].int)]
        task["output"] = passed(row["bytes"])
        del task["outputRef"]


_TAG: Final = "Executions"

ROUTES = (
    Route(
        method="GET",
        path="/v1/executions/{id}/history",
        handler=history,
        tag=_TAG,
        scope=Scope.EXECUTIONS_READ,
        summary="List the events of an execution by sequence",
        query=HistoryQuery,
        answers=answers(ok(HistoryPage), UNREADABLE, ABSENT),
    ),
    Route(
        method="GET",
        path="/v1/executions/{id}/tasks",
        handler=tasks,
        tag=_TAG,
        scope=Scope.EXECUTIONS_READ,
        summary="List the tasks of an execution: status, tries, times, output, and why they wait",
        answers=answers(ok(TaskList), UNREADABLE, ABSENT),
    ),
    Route(
        method="GET",
        path="/v1/executions/{id}/events",
        handler=events,
        tag="Events",
        scope=Scope.EXECUTIONS_READ,
        summary="Follow one execution as server-sent events",
        description=(
            "Every event of the history as a CloudEvent, from the first one or after `Last-Event-ID` or `?after=`, until the "
            "terminal event; then the stream ends. Between them `task.delta` events carry what a language model is "
            "saying; they have no id and are not kept. 204: everything was delivered already."
        ),
        query=AfterSequence,
        answers=answers(
            {200: Answer("A stream.", str, media_type="text/event-stream")},
            {204: Answer("The execution has finished, and nothing follows.")},
            UNREADABLE,
            ABSENT,
        ),
    ),
)
