"""A collection as it is asked for: what is checked before it is made."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import InvalidRequest, Violation
from knowledge.ports import Embedder, VectorStore
from knowledge.storage.collections import IndexSettings
from knowledge.text.passages import SIZE_DEFAULT, SIZE_MAX, SIZE_MIN

DESCRIPTION_CHARACTERS_MAX = 2_000

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_SETTINGS = frozenset({"passageSize", "description", "model"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCollection:
    description: str
    index: IndexSettings


def read_collection(
    name: str, settings: Mapping[str, Any], *, embedder: Embedder, store: VectorStore
) -> NewCollection:
    """Raise `InvalidRequest` naming every place that is wrong."""
    size = settings.get("passageSize", SIZE_DEFAULT)
    description = settings.get("description", "")
    model = settings.get("model", embedder.model)
    checks = [
        ("name", bool(_NAME.fullmatch(name)),
         "should be 1 to 63 of a-z, 0-9, `.`, `_` and `-`, with a letter or digit at both ends"),
        ("settings/passageSize", type(size) is int and SIZE_MIN <= size <= SIZE_MAX,
         f"should be a whole number of characters from {SIZE_MIN} to {SIZE_MAX}"),
        ("settings/description", isinstance(description, str) and len(description) <= DESCRIPTION_CHARACTERS_MAX,
         f"should be a text of at most {DESCRIPTION_CHARACTERS_MAX} characters"),
        ("settings/model", model == embedder.model,
         f"should be {embedder.model}, the model that this service is set up with"),
        ("settings", set(settings) <= _SETTINGS, f"has {', '.join(sorted(_SETTINGS))}, and nothing else"),
    ]  # fmt: skip
    problems = [Violation(f"/{place}", advice) for place, right, advice in checks if not right]
    if problems:
        raise InvalidRequest(
            f"The collection cannot be created: {problems[0].pointer} {problems[0].detail}.",
            code="invalid_collection",
            errors=problems,
        )
    return NewCollection(
        description=description,
        index=IndexSettings(
            passage_size=size,
            embedding_provider=embedder.provider,
            model=embedder.model,
            dimensions=embedder.dimensions,
            vector_store=store.name,
        ),
    )
