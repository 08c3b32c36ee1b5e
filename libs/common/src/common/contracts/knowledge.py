"""Requests from the gateway to the knowledge service, answered on the caller's reply stream."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from common.contracts.base import Json, PayloadReference, Request


class CreateCollection(Request):
    type: Literal["collection.create.v1"] = "collection.create.v1"
    name: str
    settings: dict[str, Json] = Field(default_factory=dict)


class DeleteCollection(Request):
    type: Literal["collection.delete.v1"] = "collection.delete.v1"
    name: str


class AddDocuments(Request):
    """Accept documents for ingestion. Answered (202) when they are committed; indexing goes on by itself."""

    type: Literal["documents.add.v1"] = "documents.add.v1"
    collection: str
    documents: list[dict[str, Json]] = Field(default_factory=list)
    """`{id?, title?, text, mediaType?, metadata?}` each; or, when large, the same list under `documents_ref`."""

    documents_ref: PayloadReference | None = None


class DeleteDocument(Request):
    type: Literal["document.delete.v1"] = "document.delete.v1"
    collection: str
    document_id: str


class Search(Request):
    """Refused when past its deadline: nobody waits for the answer any more."""

    type: Literal["search.v1"] = "search.v1"
    collection: str
    query: str
    top_k: int = 5
    mode: Literal["hybrid", "vector", "keyword"] = "hybrid"
    filter: dict[str, Json] | None = None
    min_score: float | None = None
    rerank: Json = None
