"""Vectors in PostgreSQL, beside everything else, by pgvector.

Search scans all vectors of the index version. That is exact, filters cost it nothing in recall, and no tenant's
collection shares an index with another's: a shared approximate index under a tenant filter returned a tenth of
what it should. The cost is linear: some 10 ms at 10,000 chunks of 384 dimensions, 100 ms at 100,000.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from knowledge.ports import Vector
from knowledge.retrieval.filters import Filter
from knowledge.storage.collections import IndexVersion
from knowledge.storage.keywords import admitted
from knowledge.storage.queries import Connection, load_queries

QUERIES = load_queries("embeddings.sql")


class PgVectorStore:
    name = "pgvector"

    async def put(
        self, connection: Connection, target: IndexVersion, vectors: Mapping[int, Vector]
    ) -> None:
        await connection.execute(
            QUERIES["put"],
            target.organization_id,
            target.id,
            list(vectors),
            [_literal(vector) for vector in vectors.values()],
        )

    async def copy(
        self, connection: Connection, target: IndexVersion, sources: Mapping[int, int]
    ) -> None:
        await connection.execute(
            QUERIES["copy"],
            target.organization_id,
            target.id,
            list(sources),
            list(sources.values()),
        )

    async def nearest(
        self,
        connection: Connection,
        target: IndexVersion,
        vector: Vector,
        *,
        limit: int,
        filter: Filter | None,
    ) -> dict[int, float]:
        arguments: list[Any] = [target.id, _literal(vector), limit]
        condition = "" if filter is None else f"AND e.ordinal IN ({admitted(filter, arguments)})"
        sql = QUERIES["nearest"].replace("{condition}", condition)
        rows = await connection.fetch(sql, *arguments)
        return {row["ordinal"]: row["similarity"] for row in rows}


def _literal(vector: Vector) -> str:
    """As pgvector reads it. Half precision is what is stored."""
    half = np.ascontiguousarray(vector, dtype=np.float16)
    return orjson.dumps(half, option=orjson.OPT_SERIALIZE_NUMPY).decode()
