"""What the keyword index counts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.text.terms import TERM_LENGTH_MAX, _stem, term_counts, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The refunds were refunded", ["refund", "refund"]),
        ("newborns.Alterations", ["newborn", "alter"]),
        ("It costs 1,000.50 euros", ["cost", "1000.50", "euro"]),
        ("version 2.5 of 30", ["version", "2.5", "30"]),
        ("1,2,3", ["1", "2", "3"]),
        ("the customer's snake_case", ["custom", "s", "snake", "case"]),
        ("ＲＥＦＵＮＤ ﬁne", ["refund", "fine"]),
        ("how do I get what you have", []),
        ("返品できます", ["返品", "品で", "でき", "きま", "ます"]),
        ("漢", ["漢"]),
        ("Über café", ["über", "café"]),
        ("", []),
    ],
)
def test_terms_of(text: str, expected: list[str]) -> None:
    assert list(terms(text)) == expected


def test_counts_keep_repetition() -> None:
    assert term_counts("refund, refunds and shipping") == {"refund": 2, "ship": 1}


@given(st.text(max_size=500))
def test_any_text_has_bounded_terms_that_postgresql_can_keep(text: str) -> None:
    for term in terms(text):
        assert 0 < len(term) <= TERM_LENGTH_MAX
        assert "\0" not in term
        term.encode()


def test_threads_do_not_disturb_one_another() -> None:
    words = [
        f"{stem}{ending}"
        for stem in ("walk", "jump", "cover", "return")
        for ending in ("ing", "ed", "s")
    ]
    text = " ".join(words * 50)
    expected = list(terms(text))

    def again(_: int) -> list[str]:
        _stem.cache_clear()
        return list(terms(text))

    with ThreadPoolExecutor(8) as threads:
        assert all(found == expected for found in threads.map(again, range(64)))
