"""Calls about collections, their documents, and search."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from kwe.client.calls import Calls
from kwe.client.models import Document, Hit
from kwe.errors import TimedOut

DOCUMENT_POLL_SECONDS: Final = 0.1


class KnowledgeCalls(Calls):
    async def create_collection(
        self, name: str, settings: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = {"name": name, "settings": dict(settings or {})}
        created: dict[str, Any] = await self.transport.post("/v1/collections", body)
        return created

    def collections(self) -> AsyncIterator[dict[str, Any]]:
        return self._pages("/v1/collections")

    async def collection(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.transport.get(_collection_path(name))
        return found

    async def delete_collection(self, name: str) -> None:
        await self.transport.request("DELETE", _collection_path(name), repeatable=False)

    async def add_documents(
        self, collection: str, documents: Sequence[Mapping[str, Any]]
    ) -> Sequence[Document]:
        """Hand in documents `{id?, title?, text, mediaType?, metadata?}`; indexing goes on by itself.

        An id that exists is replaced; the same content again changes nothing.
        """
        body = await self.transport.post(
            f"{_collection_path(collection)}/documents",
            {"documents": [dict(document) for document in documents]},
            repeatable=all("id" in document for document in documents),
        )
        return [Document.model_validate(item) for item in body["documents"]]

    async def document_status(self, collection: str, document_id: str) -> Document:
        path = f"{_collection_path(collection)}/documents/{quote(document_id, safe='')}"
        return Document.model_validate(await self.transport.get(path))

    async def wait_for_document(
        self, collection: str, document_id: str, *, timeout: float = 60.0
    ) -> Document:
        """The document once it is ready or has failed."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    document = await self.document_status(collection, document_id)
                    if document.is_finished:
                        return document
                    await asyncio.sleep(DOCUMENT_POLL_SECONDS)
        except TimeoutError:
            raise TimedOut(
                f"document {document_id} is not ready after {timeout:g} s; its indexing goes on"
            ) from None

    async def search(
        self,
        collection: str,
        query: str,
        *,
        top_k: int = 5,
        mode: str = "hybrid",
        filter: Mapping[str, Any] | None = None,
    ) -> Sequence[Hit]:
        body: dict[str, Any] = {"query": query, "topK": top_k, "mode": mode}
        if filter is not None:
            body["filter"] = dict(filter)
        path = f"{_collection_path(collection)}/search"
        answer = await self.transport.post(path, body, repeatable=True)
        return [Hit.model_validate(hit) for hit in answer["hits"]]


def _collection_path(name: str) -> str:
    return f"/v1/collections/{quote(name, safe='')}"
