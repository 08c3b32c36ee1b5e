"""Embeddings from OpenAI, or from any server that speaks its API."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from common.errors import InvalidRequest, Unavailable, Unprocessable
from common.metrics import EMBEDDING_REQUESTS, EMBEDDING_SECONDS, EMBEDDING_TOKENS
from knowledge.ports import Vectors

if TYPE_CHECKING:
    from openai import APIStatusError
    from openai.types import CreateEmbeddingResponse

MODEL_DEFAULT = "text-embedding-3-small"
DIMENSIONS_OF = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
FIXED_DIMENSIONS = frozenset({"text-embedding-ada-002"})

_BATCH = 128
_TIMEOUT_SECONDS = 20.0
"""Below the lease of a batch of documents, or another worker would take it meanwhile."""

_RETRY_AFTER_MAX_SECONDS = 300.0

_MALFORMED = (AttributeError, TypeError, ValueError)
"""What the client and numpy raise for answers that are not what they should be."""


class OpenAIEmbedder:
    provider = "openai"

    def __init__(
        self, *, api_key: str, base_url: str | None, model: str | None, dimensions: int | None
    ) -> None:
        # Imported here: it costs tens of megabytes, and most installations embed locally.
        from openai import AsyncOpenAI

        self.model = model or MODEL_DEFAULT
        self.dimensions = dimensions or DIMENSIONS_OF.get(self.model, 1536)
        self._asks_dimensions = self.model not in FIXED_DIMENSIONS
        self._client: AsyncOpenAI = AsyncOpenAI(
            # Retrying is the pipeline's: it is durable, and shows why it waits.
            api_key=api_key,
            base_url=base_url,
            timeout=_TIMEOUT_SECONDS,
            max_retries=0,
        )

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        if any(not text.strip() for text in texts):
            raise InvalidRequest("There is nothing to embed in an empty text.", code="empty_text")
        parts: list[Vectors] = []
        tokens = 0
        for start in range(0, len(texts), _BATCH):
            response = await self._request(list(texts[start : start + _BATCH]))
            vectors, read = _content(response)
            parts.append(vectors)
            tokens += read
            EMBEDDING_TOKENS.labels(self.provider).inc(read)
        return self._unit(np.concatenate(parts), expected=len(texts)), tokens

    async def close(self) -> None:
        await self._client.close()

    async def _request(self, texts: list[str]) -> "CreateEmbeddingResponse":
        with EMBEDDING_SECONDS.labels(self.provider).time():
            try:
                response = await self._create(texts)
            except (Unavailable, Unprocessable) as error:
                outcome = "overloaded" if isinstance(error, Unavailable) else "rejected"
                EMBEDDING_REQUESTS.labels(self.provider, outcome).inc()
                raise
        EMBEDDING_REQUESTS.labels(self.provider, "completed").inc()
        return response

    async def _create(self, texts: list[str]) -> "CreateEmbeddingResponse":
        import openai

        try:
            if self._asks_dimensions:
                try:
                    return await self._client.embeddings.create(
                        model=self.model, input=texts, dimensions=self.dimensions
                    )
                except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                    if not _is_about_dimensions(error):
                        raise
                    # A model of one length, on a server of others. That length is checked with every answer.
                    self._asks_dimensions = False
            return await self._client.embeddings.create(model=self.model, input=texts)
        except openai.APIConnectionError as error:
            raise Unavailable("The embedding provider cannot be reached.") from error
        except openai.APIStatusError as error:
            raise _translated(
                error.status_code, error.response.headers.get("retry-after")
            ) from error
        except (openai.OpenAIError, *_MALFORMED) as error:
            raise _unusable() from error

    def _unit(self, vectors: Vectors, *, expected: int) -> Vectors:
        if vectors.shape != (expected, self.dimensions):
            raise Unprocessable(
                f"The model {self.model} answered with vectors of another shape than {self.dimensions} dimensions; "
                "set EMBEDDING_DIMENSIONS to what it returns.",
                code="embedding_dimensions",
            )
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = (vectors / np.where(norms == 0, 1, norms)).astype(np.float32)
        return unit


def _is_about_dimensions(error: "APIStatusError") -> bool:
    """Whether the word itself is refused. What else is wrong with a request is not mended by leaving it out."""
    words = str(error.message).lower()
    return error.param == "dimensions" or "dimension" in words or "matryoshka" in words


def _content(response: "CreateEmbeddingResponse") -> tuple[Vectors, int]:
    """The vectors in the order of the texts, and the tokens they cost. The client checks nothing of it."""
    try:
        ordered = sorted(response.data, key=lambda item: item.index)
        vectors = np.asarray([item.embedding for item in ordered], dtype=np.float32)
        tokens = response.usage.total_tokens
    except _MALFORMED as error:
        raise _unusable() from error
    if vectors.ndim != 2 or not np.isfinite(vectors).all():
        raise _unusable()
    return vectors, tokens


def _unusable() -> Unavailable:
    return Unavailable("The embedding provider gave no usable answer.")


def _translated(status: int, retry_after: str | None) -> Unavailable | Unprocessable:
    if status in {408, 409, 429} or status >= 500:
        try:
            seconds = min(float(retry_after or ""), _RETRY_AFTER_MAX_SECONDS)
        except ValueError:
            seconds = None
        return Unavailable(
            f"The embedding provider answered {status}.",
            code="embedding_provider_unavailable",
            retry_after=seconds,
        )
    return Unprocessable(
        f"The embedding provider refused the request with {status}; check OPENAI_API_KEY and EMBEDDING_MODEL.",
        code="embedding_refused",
    )
