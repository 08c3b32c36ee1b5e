"""What a term is worth, and how much of a question a passage covers."""

import math
from collections.abc import Collection, Mapping

K1 = 1.2
"""How soon a repeated term stops counting."""

B = 0.75
"""How much a long passage is discounted."""


def rarity(*, passages: int, containing: int) -> float:
    """The inverse document frequency of BM25, never negative.

    `containing` may exceed `passages` for a moment: it counts passages that were replaced and are not
    swept out yet.
    """
    containing = min(containing, passages)
    return math.log(1 + (passages - containing + 0.5) / (containing + 0.5))


def coverage(rarities: Mapping[str, float], present: Collection[str]) -> float:
    """Which part of the question's terms occur, rare terms counting more: 0 none, 1 all.

    Unlike a fused score this is absolute. It is near 0 for the best passage of a collection that says
    nothing about the question.
    """
    total = sum(rarities.values())
    if total <= 0:
        return 0.0
    return sum(weight for term, weight in rarities.items() if term in present) / total
