"""One ranking from two: a convex combination of scores, each leg scaled to 0…1 over its own candidates.

Scores are fused, not ranks: a rank forgets by how much the first was better than the second, and with a weak
vector leg reciprocal rank fusion falls below the keyword leg alone.
"""

from collections.abc import Mapping

VECTOR_WEIGHT = 0.3
"""The best weight measured for the local static model; see `bench/retrieval.py`."""

CANDIDATES = 100
"""How many of each leg enter the fusion."""


def scaled(scores: Mapping[int, float]) -> dict[int, float]:
    """Scores from 0 (the weakest candidate) to 1 (the strongest). All equal: all 1."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high <= low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}


def fused(
    keyword: Mapping[int, float], vector: Mapping[int, float], *, vector_weight: float
) -> dict[int, float]:
    """A candidate that one leg lacks counts as that leg's weakest."""
    by_keyword, by_vector = scaled(keyword), scaled(vector)
    return {
        key: (1 - vector_weight) * by_keyword.get(key, 0.0)
        + vector_weight * by_vector.get(key, 0.0)
        for key in by_keyword.keys() | by_vector.keys()
    }


def ranked(scores: Mapping[int, float], *, limit: int) -> list[tuple[int, float]]:
    """Best first; equal scores in the order of their keys, so that an answer can be repeated."""
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:limit]
