"""Documents of a collection."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from aiohttp import web

from common.contracts.base import INLINE_INPUT_BYTES_MAX
from common.contracts.knowledge import AddDocuments, DeleteDocument
from common.errors import NotFound
from common.ids import uuid7
from common.security import Scope
from common.telemetry import current_traceparent
from gateway.answers import dumps, json_answer, passed
from gateway.cursors import decode_cursor
from gateway.models.common import Page
from gateway.models.knowledge import (
    AcceptedDocuments,
    DocumentBody,
    DocumentsBody,
    DocumentsQuery,
    DocumentView,
)
from gateway.owners import INGEST_QUEUE
from gateway.reads.database import Row
from gateway.reads.queries import KNOWLEDGE
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, INVALID, UNREADABLE, answers, ok
from gateway.routes.knowledge import collection_of, no_such_collection
from gateway.routes.pages import page
from gateway.uploads import read_documents

_ID_CHARACTERS_MAX: Final = 200


async def add(call: Call) -> web.Response:
    collection = collection_of(call)
    documents = await read_documents(call)
    reply = await call.gateway.owners.knowledge(
        AddDocuments(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            collection=collection,
            **await _carried(call, documents),
        ),
        INGEST_QUEUE,
    )
    headers = {"Location": f"/v1/collections/{collection}/documents"}
    if len(documents) == 1 and "id" in documents[0]:
        headers["Location"] += "/" + quote(documents[0]["id"], safe="")
    return json_answer(reply.body, status=202, headers=headers)


async def list_documents(call: Call) -> web.Response:
    name, query = collection_of(call), call.query(DocumentsQuery)
    after = ""
    if query.cursor is not None:
        after = str(decode_cursor("documents", query.cursor, types=[str])[0])
    async with call.gateway.database.primary.transaction(call.organization_id) as connection:
        collection = await connection.fetchrow(
            KNOWLEDGE["get_collection"], call.organization_id, name
        )
        if collection is None:
            raise no_such_collection(name)
        rows = await connection.fetch(
            KNOWLEDGE["list_documents"],
            call.organization_id,
            UUID(int=collection["id"].int),
            after,
            query.limit + 1,
            query.status,
        )
    return page("documents", rows, query.limit, item=_view, position=lambda row: [row["id"]])


async def show(call: Call) -> web.Response:
    # From the primary: progress is asked for right after adding, and a replica lags.
    async with call.gateway.database.primary.transaction(call.organization_id) as connection:
        row = await connection.fetchrow(
            KNOWLEDGE["get_document"], call.organization_id, collection_of(call), _id_of(call)
        )
    if row is None:
        raise no_such_document()
    return json_answer(_view(row))


async def delete(call: Call) -> web.Response:
    await call.gateway.owners.knowledge(
        DeleteDocument(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            collection=collection_of(call),
            document_id=_id_of(call),
        ),
        INGEST_QUEUE,
    )
    return web.Response(status=204)


async def _carried(call: Call, documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Small ones travel in the message, large ones are stored first and named in it."""
    raw = dumps(documents)
    if len(raw) <= INLINE_INPUT_BYTES_MAX:
        return {"documents": documents}
    return {"documents_ref": await call.gateway.payloads.store(call.organization_id, uuid7(), raw)}


def _id_of(call: Call) -> str:
    document_id = call.path("id")
    if len(document_id) > _ID_CHARACTERS_MAX or "\x00" in document_id:
        raise no_such_document()
    return document_id


def no_such_document() -> NotFound:
    return NotFound("There is no document of this id in the collection.", code="document_not_found")


def _view(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "version": row["version"],
        "status": row["status"],
        "progress": row["progress"],
        "chunks": row["chunks"],
        "error": row["error"],
        "attempts": row["attempts"],
        "title": row["title"],
        "mediaType": row["media_type"],
        "metadata": passed(row["metadata"]),
        "characters": row["characters"],
        "createdAt": row["created_at"],
        "updatedAt": row["updated_at"],
    }


_TAG: Final = "Knowledge"
_DOCUMENTS: Final = "/v1/collections/{name}/documents"

ROUTES = (
    Route(
        method="POST",
        path=_DOCUMENTS,
        handler=add,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_WRITE,
        summary="Add documents",
        description=(
            "One document, a list of them, or `{documents: […]}`; or text and Markdown files as `multipart/form-data`. "
            "202 means committed; indexing goes on by itself, and `GET …/documents/{id}` says how far it is. The same id "
            "again replaces the document; the same content again changes nothing."
        ),
        body=DocumentsBody | list[DocumentBody] | DocumentBody,
        body_media_types=("application/json", "multipart/form-data"),
        answers=answers(ok(AcceptedDocuments, "Committed.", status=202), INVALID, ABSENT),
        needs_owner=True,
    ),
    Route(
        method="GET",
        path=_DOCUMENTS,
        handler=list_documents,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_READ,
        summary="List documents with their progress",
        query=DocumentsQuery,
        answers=answers(ok(Page[DocumentView]), UNREADABLE, ABSENT),
    ),
    Route(
        method="GET",
        path=f"{_DOCUMENTS}/{{id}}",
        handler=show,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_READ,
        summary="Show a document and its progress",
        answers=answers(ok(DocumentView), ABSENT),
    ),
    Route(
        method="DELETE",
        path=f"{_DOCUMENTS}/{{id}}",
        handler=delete,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_WRITE,
        summary="Delete a document from the collection and its index",
        answers=answers({204: Answer("Deleted.")}, ABSENT),
        needs_owner=True,
    ),
)
