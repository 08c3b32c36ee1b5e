"""Fusing two rankings, and what terms are worth."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.retrieval.fusion import fused, ranked, scaled
from knowledge.retrieval.relevance import coverage, rarity

SCORES = st.dictionaries(
    st.integers(0, 50), st.floats(-100, 100, allow_nan=False), min_size=1, max_size=30
)


@given(SCORES)
def test_scaling_keeps_the_order_within_0_and_1(scores: dict[int, float]) -> None:
    result = scaled(scores)
    assert all(0 <= value <= 1 for value in result.values())
    assert max(result.values()) == 1
    in_order = sorted(scores, key=lambda key: scores[key])
    assert [result[key] for key in in_order] == sorted(result.values())


@given(SCORES, SCORES, st.floats(0, 1))
def test_the_best_of_both_legs_is_the_best_of_all(
    keyword: dict[int, float], vector: dict[int, float], weight: float
) -> None:
    keyword[99] = max(keyword.values()) + 1
    vector[99] = max(vector.values()) + 1
    result = fused(keyword, vector, vector_weight=weight)
    assert set(result) == set(keyword) | set(vector)
    assert result[99] == pytest.approx(1)
    assert max(result.values()) == pytest.approx(1)


def test_without_the_other_leg_the_order_of_one_remains() -> None:
    assert ranked(fused({1: 3.0, 2: 5.0}, {}, vector_weight=0.3), limit=5)[0][0] == 2
    assert ranked(fused({}, {1: 0.3, 2: 0.2}, vector_weight=0.3), limit=1)[0][0] == 1
    assert fused({}, {}, vector_weight=0.3) == {}


def test_equal_scores_are_ranked_by_key_so_that_answers_repeat() -> None:
    assert ranked({3: 1.0, 1: 1.0, 2: 2.0}, limit=3) == [(2, 2.0), (1, 1.0), (3, 1.0)]


@given(st.integers(0, 10_000), st.integers(0, 20_000))
def test_rarity_is_never_negative_and_falls_with_frequency(passages: int, containing: int) -> None:
    assert rarity(passages=passages, containing=containing) >= 0
    more = rarity(passages=passages, containing=containing + 1)
    assert more <= rarity(passages=passages, containing=containing)


def test_coverage_counts_rare_terms_more() -> None:
    worth = {"common": 0.1, "rare": 3.0}
    assert coverage(worth, {"rare"}) > 0.9
    assert coverage(worth, {"common"}) < 0.1
    assert coverage(worth, {"rare", "common", "other"}) == pytest.approx(1)
    assert coverage({}, {"rare"}) == 0
