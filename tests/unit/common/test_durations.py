"""Durations as operators write them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.settings import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15m", timedelta(minutes=15)),
        ("24h", timedelta(hours=24)),
        ("500ms", timedelta(milliseconds=500)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("2.5s", timedelta(seconds=2.5)),
        ("90", timedelta(seconds=90)),
        ("0.25", timedelta(seconds=0.25)),
        ("7d", timedelta(days=7)),
        ("2w", timedelta(weeks=2)),
        ("PT15M", timedelta(minutes=15)),
        ("P1DT2H", timedelta(days=1, hours=2)),
        ("pt0.5s", timedelta(seconds=0.5)),
        ("0", timedelta()),
        (" 15M ", timedelta(minutes=15)),
    ],
)
def test_usual_spellings_are_understood(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "15x", "-5s", "m", "P", "-PT5M", "1e3", "15 m x", "9" * 400, "nan", "٣s"]
)
def test_anything_else_is_refused_with_advice_and_without_the_value(text: str) -> None:
    with pytest.raises(ValueError, match="should be a duration such as") as refused:
        parse_duration(text)
    assert not text or len(text) < 3 or text not in str(refused.value)


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_formatted_is_read_back_unchanged(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(max_size=40))
def test_any_text_is_a_non_negative_duration_or_a_value_error(text: str) -> None:
    try:
        assert parse_duration(text) >= timedelta()
    except ValueError:
        pass
