"""Functions of the default catalog that workflows call: `search`, `ingest`, `embed`."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

from common.errors import EngineError, InvalidRequest, Unavailable
from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.serving.ports import Handler
from knowledge.engine import Knowledge
from knowledge.serving.outages import despite_outages
from knowledge.storage.documents import DocumentOverview
from knowledge.storage.queries import Pool

LOOK_AGAIN_FIRST_SECONDS = 0.02
LOOK_AGAIN_MAX_SECONDS = 1.0


class Functions:
    def __init__(self, knowledge: Knowledge, pool: Pool) -> None:
        self._knowledge = knowledge
        self._pool = pool

    def handlers(self) -> dict[str, Handler]:
        return {
            "search:1.0.0": self._translated(self.search),
            "ingest:1.0.0": self._translated(self.ingest),
            "embed:1.0.0": self._translated(self.embed),
        }

    def _translated(
        self, function: Callable[[Any, TaskContext], Awaitable[dict[str, Any]]]
    ) -> Handler:
        """Our errors in the words of the workflow language, with what another try may change."""

        async def call(input: Any, context: TaskContext) -> Any:
            try:
                return await despite_outages(
                    self._pool, lambda: function(input, context), repeatable=True
                )
            except Unavailable as error:
                raise FunctionError(
                    error.detail, type="communication", status=503, retry_after=error.retry_after
                ) from error
            except EngineError as error:
                kind = "validation" if error.http_status in {400, 413, 422} else "runtime"
                raise FunctionError(
                    error.detail, type=kind, status=error.http_status, retryable=False
                ) from error

        return call

    async def search(self, input: Any, context: TaskContext) -> dict[str, Any]:
        body = _object(input)
        hits = await self._knowledge.search(
            context.organization_id, _text(body, "collection"), body
        )
        return {"hits": [hit.as_json() for hit in hits]}

    async def ingest(self, input: Any, context: TaskContext) -> dict[str, Any]:
        """Answers when every document is ready or failed, so that a search may follow.

        A task that runs again finds its documents accepted and only waits for them.
        """
        body = _object(input)
        collection = _text(body, "collection")
        accepted = await self._knowledge.add_documents(
            context.organization_id, collection, body.get("documents", [])
        )
        finished = await self._finished(context.organization_id, collection, accepted)
        return {
            "documents": [
                {
                    "id": document.id,
                    "chunks": document.chunks,
                    "status": document.status,
                    **({"error": document.error} if document.error else {}),
                }
                for document in finished
            ]
        }

    async def embed(self, input: Any, context: TaskContext) -> dict[str, Any]:
        body = _object(input)
        embeddings = await self._knowledge.embed(body.get("texts"), model=body.get("model"))
        usage = {"inputTokens": embeddings.tokens}
        context.usage = {**usage, "model": embeddings.model}
        return {
            # Half precision is what is stored and compared; more digits would only be longer.
            "vectors": [[round(float(value), 6) for value in row] for row in embeddings.vectors],
            "model": embeddings.model,
            "dimensions": embeddings.dimensions,
            "usage": usage,
        }

    async def _finished(
        self, organization_id: UUID, collection: str, accepted: Sequence[DocumentOverview]
    ) -> list[DocumentOverview]:
        """Looks into the table, since another replica may be doing the work."""
        ids = [document.id for document in accepted]
        found = list(accepted)
        pause = LOOK_AGAIN_FIRST_SECONDS
        while not all(document.is_finished for document in found):
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, LOOK_AGAIN_MAX_SECONDS)
            found = await self._knowledge.document_statuses(organization_id, collection, ids)
        by_id = {document.id: document for document in found}
        return [by_id[id] for id in ids if id in by_id]


def _object(input: Any) -> dict[str, Any]:
    if not isinstance(input, dict):
        raise InvalidRequest("The input should be an object.")
    return input


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"`{name}` should be a text.")
    return value
