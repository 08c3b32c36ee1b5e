"""Whether the vectors that the settings ask for can be had, and fit those that are stored.

Vectors of different lengths cannot be compared. Finding that out with the first search would be late, so the service
does not start with such settings.
"""

from __future__ import annotations

from typing import Any, Final

import asyncpg

from common.errors import ConfigurationError
from common.settings import KnowledgeSettings
from knowledge.embedding.openai import DIMENSIONS_OF, FIXED_DIMENSIONS, MODEL_DEFAULT
from knowledge.ports import Embedder

_UNLIKE: Final = """
SELECT dimensions, count(*) AS collections
FROM knowledge.index_versions
WHERE status = 'active' AND embedding_provider = $1 AND model = $2 AND dimensions <> $3
GROUP BY dimensions
ORDER BY count(*) DESC
LIMIT 1"""


def refuse_impossible_dimensions(settings: KnowledgeSettings) -> None:
    """Raise `ConfigurationError` where the model cannot give vectors of `EMBEDDING_DIMENSIONS`."""
    model, wanted = settings.embedding_model or MODEL_DEFAULT, settings.embedding_dimensions
    longest = DIMENSIONS_OF.get(model)
    if wanted is None or longest is None:
        return
    if model in FIXED_DIMENSIONS and wanted != longest:
        raise ConfigurationError(
            f"EMBEDDING_DIMENSIONS={wanted}, but {model} has always {longest}; remove EMBEDDING_DIMENSIONS"
        )
    if wanted > longest:
        raise ConfigurationError(
            f"EMBEDDING_DIMENSIONS={wanted}, but {model} has at most {longest}; set at most that"
        )


async def refuse_unlike_indexes(pool: asyncpg.Pool[Any], embedder: Embedder) -> None:
    """Raise `ConfigurationError` where collections were indexed by this model with vectors of another length."""
    try:
        row = await pool.fetchrow(_UNLIKE, embedder.provider, embedder.model, embedder.dimensions)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return  # nothing is installed, so nothing is indexed
    if row is not None:
        raise ConfigurationError(
            f"EMBEDDING_DIMENSIONS={embedder.dimensions}, but {row['collections']} collections hold vectors of "
            f"{row['dimensions']} dimensions by {embedder.model}; set EMBEDDING_DIMENSIONS={row['dimensions']}, "
            "or index those collections anew",
            code="embedding_dimensions",
        )
