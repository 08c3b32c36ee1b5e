"""Collections and search."""

from __future__ import annotations

import re
from typing import Any, Final

from aiohttp import web

from common.contracts.knowledge import CreateCollection, DeleteCollection, Search
from common.errors import NotFound
from common.security import Scope
from common.telemetry import current_traceparent
from gateway.answers import dumps, json_answer
from gateway.cursors import decode_cursor
from gateway.models.common import Page, PageQuery
from gateway.models.knowledge import (
    COLLECTION_NAME,
    CollectionDetails,
    CollectionView,
    CreateCollectionBody,
    SearchAnswer,
    SearchBody,
)
from gateway.owners import INGEST_QUEUE, SEARCH_QUEUE
from gateway.reads.database import Row
from gateway.reads.queries import KNOWLEDGE
from gateway.route import Answer, Call, Route
from gateway.routes.answers import ABSENT, CONFLICT, INVALID, UNREADABLE, answers, ok
from gateway.routes.pages import page

_NAME: Final = re.compile(COLLECTION_NAME)


async def create(call: Call) -> web.Response:
    body = await call.body(CreateCollectionBody)
    reply = await call.gateway.owners.knowledge(
        CreateCollection(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            name=body.name,
            settings=body.settings,
        ),
        INGEST_QUEUE,
    )
    answer = reply.body if isinstance(reply.body, dict) else {"name": body.name}
    return json_answer(
        answer, status=reply.status, headers={"Location": f"/v1/collections/{body.name}"}
    )


async def list_collections(call: Call) -> web.Response:
    query = call.query(PageQuery)
    after = ""
    if query.cursor is not None:
        after = str(decode_cursor("collections", query.cursor, types=[str])[0])
    rows = await call.gateway.database.rows(
        call.organization_id,
        KNOWLEDGE["list_collections"],
        call.organization_id,
        after,
        query.limit + 1,
    )
    return page("collections", rows, query.limit, item=_view, position=lambda row: [row["name"]])


async def show(call: Call) -> web.Response:
    name = collection_of(call)
    async with call.gateway.database.primary.transaction(call.organization_id) as connection:
        row = await connection.fetchrow(KNOWLEDGE["get_collection"], call.organization_id, name)
        if row is None:
            raise no_such_collection(name)
        counts = await connection.fetch(
            KNOWLEDGE["document_counts"], call.organization_id, row["id"]
        )
    documents = {count["status"]: count["documents"] for count in counts}
    return json_answer({**_view(row), "documents": documents})


async def delete(call: Call) -> web.Response:
    await call.gateway.owners.knowledge(
        DeleteCollection(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            name=collection_of(call),
        ),
        INGEST_QUEUE,
    )
    return web.Response(status=204)


async def search(call: Call) -> web.Response:
    name = collection_of(call)
    body = await call.body(SearchBody)
    reply = await call.gateway.owners.knowledge(
        Search(
            organization_id=call.organization_id,
            traceparent=current_traceparent(),
            collection=name,
            query=body.query,
            top_k=body.top_k,
            mode=body.mode,
            filter=body.filter,
            min_score=body.min_score,
            rerank=body.rerank,
        ),
        SEARCH_QUEUE,
    )
    return web.Response(body=dumps(reply.body), content_type="application/json")


def collection_of(call: Call) -> str:
    """The collection's name from the path. What cannot be a name names nothing."""
    name = call.path("name")
    if _NAME.fullmatch(name) is None:
        raise no_such_collection(name)
    return name


def no_such_collection(name: str) -> NotFound:
    return NotFound(f"There is no collection {name}.", code="collection_not_found")


def _view(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "createdAt": row["created_at"],
        "indexVersion": row["index_version"],
        "embeddingProvider": row["embedding_provider"],
        "model": row["model"],
        "dimensions": row["dimensions"],
        "vectorStore": row["vector_store"],
        "passageSize": row["passage_size"],
        "chunks": row["chunks"],
    }


_TAG: Final = "Knowledge"
_COLLECTION: Final = "/v1/collections/{name}"

ROUTES = (
    Route(
        method="POST",
        path="/v1/collections",
        handler=create,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_WRITE,
        summary="Create a collection",
        body=CreateCollectionBody,
        answers=answers(ok(dict[str, Any], "Created.", status=201), INVALID, CONFLICT),
        needs_owner=True,
    ),
    Route(
        method="GET",
        path="/v1/collections",
        handler=list_collections,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_READ,
        summary="List collections",
        query=PageQuery,
        answers=answers(ok(Page[CollectionView]), UNREADABLE),
    ),
    Route(
        method="GET",
        path=_COLLECTION,
        handler=show,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_READ,
        summary="Show a collection and how far its documents are",
        answers=answers(ok(CollectionDetails), ABSENT),
    ),
    Route(
        method="DELETE",
        path=_COLLECTION,
        handler=delete,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_WRITE,
        summary="Delete a collection with its documents and its index",
        answers=answers({204: Answer("Deleted.")}, ABSENT),
        needs_owner=True,
    ),
    Route(
        method="POST",
        path=f"{_COLLECTION}/search",
        handler=search,
        tag=_TAG,
        scope=Scope.KNOWLEDGE_READ,
        summary="Search a collection",
        description="Every hit's `text` is exactly the code points `start` to `end` of its document.",
        body=SearchBody,
        answers=answers(ok(SearchAnswer), INVALID, ABSENT),
        needs_owner=True,
    ),
)
