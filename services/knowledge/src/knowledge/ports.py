"""What the service asks of others, in its own words: vectors for texts, and a place that finds near ones."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from knowledge.retrieval.filters import Filter
from knowledge.storage.collections import IndexVersion
from knowledge.storage.queries import Connection

Vectors = NDArray[np.float32]
"""One row per text, of unit length, so that the inner product is the cosine."""

Vector = NDArray[np.float32]


class Embedder(Protocol):
    provider: str
    model: str
    dimensions: int

    async def embed(self, texts: Sequence[str]) -> tuple[Vectors, int]:
        """Vectors in the order of the texts, and the number of tokens read.

        The same text gives the same vector. Raise `InvalidRequest` for a text without any token, `Unavailable` when
        another try may succeed; no exception of a provider escapes.
        """
        ...

    async def close(self) -> None: ...


class VectorStore(Protocol):
    """Keeps the vectors of index versions. Which chunks are live, and what they say, PostgreSQL knows.

    A store in the same database takes part in the transaction of `connection`; any other ignores it, and is
    written before the transaction commits: everything may be written twice.
    """

    name: str

    async def put(
        self, connection: Connection, target: IndexVersion, vectors: Mapping[int, Vector]
    ) -> None:
        """Keep vectors by chunk ordinal, in place of what was there."""
        ...

    async def copy(
        self, connection: Connection, target: IndexVersion, sources: Mapping[int, int]
    ) -> None:
        """Give the chunks that are keys the vectors that the chunks that are values have."""
        ...

    async def nearest(
        self,
        connection: Connection,
        target: IndexVersion,
        vector: Vector,
        *,
        limit: int,
        filter: Filter | None,
    ) -> dict[int, float]:
        """The nearest live chunks and their cosines, nearest first."""
        ...
