"""Requests of the gateway: read, delegate, answer. Refusals are raised and become replies by themselves."""

from typing import Any

import orjson

from common.contracts.base import Request
from common.contracts.knowledge import (
    AddDocuments,
    CreateCollection,
    DeleteCollection,
    DeleteDocument,
    Search,
)
from common.errors import InvalidRequest
from common.serving.ports import Answer, RequestHandler, Store
from knowledge.engine import Knowledge
from knowledge.serving.outages import despite_outages
from knowledge.storage.queries import Pool


class Requests:
    def __init__(self, knowledge: Knowledge, payloads: Store, pool: Pool) -> None:
        self._knowledge = knowledge
        self._payloads = payloads
        self._pool = pool

    def handlers(self) -> dict[type[Request], RequestHandler]:
        return {
            CreateCollection: self._patient(self.create_collection),
            AddDocuments: self._patient(self.add_documents),
            Search: self._patient(self.search),
            # Repeated after a commit that nobody heard of, a deletion would answer that there is nothing.
            DeleteCollection: self._patient(self.delete_collection, repeatable=False),
            DeleteDocument: self._patient(self.delete_document, repeatable=False),
        }

    def _patient(self, handler: RequestHandler, *, repeatable: bool = True) -> RequestHandler:
        async def handle(request: Any) -> Answer:
            return await despite_outages(
                self._pool, lambda: handler(request), repeatable=repeatable
            )

        return handle

    async def create_collection(self, request: CreateCollection) -> Answer:
        created = await self._knowledge.create_collection(
            request.organization_id,
            request.name,
            settings=request.settings,
            # The message's own id, so that its redelivery finds what it made.
            id=request.message_id,
        )
        return Answer(status=201, body=created.as_json())

    async def delete_collection(self, request: DeleteCollection) -> Answer:
        await self._knowledge.delete_collection(request.organization_id, request.name)
        return Answer(status=204)

    async def add_documents(self, request: AddDocuments) -> Answer:
        documents = await self._documents(request)
        accepted = await self._knowledge.add_documents(
            request.organization_id, request.collection, documents
        )
        return Answer(status=202, body={"documents": [one.as_json() for one in accepted]})

    async def delete_document(self, request: DeleteDocument) -> Answer:
        await self._knowledge.delete_document(
            request.organization_id, request.collection, request.document_id
        )
        return Answer(status=204)

    async def search(self, request: Search) -> Answer:
        hits = await self._knowledge.search(
            request.organization_id,
            request.collection,
            {
                "query": request.query,
                "topK": request.top_k,
                "mode": request.mode,
                "filter": request.filter,
                "minScore": request.min_score,
                "rerank": request.rerank,
            },
            deadline_ms=request.deadline_ms,
        )
        return Answer(body={"hits": [hit.as_json() for hit in hits]})

    async def _documents(self, request: AddDocuments) -> Any:
        if request.documents_ref is None:
            return request.documents
        try:
            raw = await self._payloads.load(request.organization_id, request.documents_ref)
            return orjson.loads(raw)
        except LookupError as error:
            raise InvalidRequest(
                "The documents are not stored any more; send them again."
            ) from error
        except orjson.JSONDecodeError as error:
            raise InvalidRequest("The stored documents are not JSON; send them again.") from error
