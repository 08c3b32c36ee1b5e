"""Collections, their documents, and search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.bounds.validation import Body
from gateway.models.common import Instant, PageQuery, View

COLLECTION_NAME = r"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"
DOCUMENTS_MAX = 1000
TEXT_CHARACTERS_MAX = 1024 * 1024

DocumentId = Annotated[str, Field(min_length=1, max_length=200)]
DocumentStatus = Literal[
    "pending", "parsing", "chunking", "embedding", "indexing", "ready", "failed"
]
Mode = Literal["hybrid", "vector", "keyword"]


class CreateCollectionBody(Body):
    name: str = Field(pattern=COLLECTION_NAME, examples=["policies"])
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="How documents are indexed, such as `passageSize` and `model`; the knowledge service checks them.",
    )


class CollectionView(View):
    id: str
    name: str
    description: str
    created_at: Instant
    index_version: int
    embedding_provider: str
    model: str
    dimensions: int
    vector_store: str
    passage_size: int
    chunks: int


class CollectionDetails(CollectionView):
    documents: dict[DocumentStatus, int] = Field(description="Documents in each status.")


class DocumentBody(Body):
    id: DocumentId | None = Field(None, description="The same id again replaces the document.")
    title: str | None = Field(None, max_length=1024)
    text: str = Field(min_length=1, max_length=TEXT_CHARACTERS_MAX)
    media_type: Literal["text/plain", "text/markdown"] | None = None
    metadata: dict[str, Any] | None = None


class DocumentsBody(Body):
    """Several documents at once."""

    documents: list[DocumentBody] = Field(min_length=1, max_length=DOCUMENTS_MAX)


class DocumentView(View):
    id: str
    version: int = Field(description="Counts the revisions of the document, from 1.")
    status: DocumentStatus
    progress: float = Field(description="0 to 1.")
    chunks: int
    error: str | None
    attempts: int
    title: str | None
    media_type: str
    metadata: dict[str, Any]
    characters: int
    created_at: Instant
    updated_at: Instant


class DocumentsQuery(PageQuery):
    status: DocumentStatus | None = None


class AcceptedDocuments(BaseModel):
    """As the knowledge service answers."""

    model_config = ConfigDict(extra="allow")

    documents: list[dict[str, Any]] = Field(description="`{id, status}` of each.")


class SearchBody(Body):
    query: str = Field(min_length=1, max_length=4096)
    top_k: int = Field(5, ge=1, le=100)
    mode: Mode = "hybrid"
    filter: dict[str, Any] | None = Field(
        None, description="On metadata: `$eq $ne $gt $gte $lt $lte $in $nin $exists $and $or`."
    )
    min_score: float | None = None
    rerank: Any = None


class Hit(BaseModel):
    """A passage. `text` is exactly `start` to `end` (code points) of the document."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(description="Of the document.")
    text: str
    score: float
    start: int
    end: int


class SearchAnswer(BaseModel):
    model_config = ConfigDict(extra="allow")

    hits: list[Hit]
