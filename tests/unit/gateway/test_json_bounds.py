"""Whatever is sent, the answer is a value that PostgreSQL can hold, or a refusal that says where."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import InvalidRequest
from gateway.bounds.json_text import parse_json

DEPTH = 64

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def refusal(raw: bytes, *, depth: int = DEPTH) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        parse_json(raw, depth_max=depth)
    return refused.value


def pointers(error: InvalidRequest) -> list[str]:
    return [violation.pointer for violation in error.errors]


@given(values)
def test_what_is_clean_comes_through_as_it_is(value: Any) -> None:
    raw = orjson.dumps(value)
    if "\\u0000" in raw.decode():
        refusal(raw)
    else:
        assert parse_json(raw, depth_max=DEPTH) == orjson.loads(raw)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused_and_never_crash(raw: bytes) -> None:
    try:
        value = parse_json(raw, depth_max=DEPTH)
    except InvalidRequest as error:
        orjson.dumps(error.as_problem())
    else:
        assert "\x00" not in json.dumps(value, ensure_ascii=False)


@settings(max_examples=100)
@given(
    st.recursive(
        st.floats() | st.text(st.characters()) | st.sampled_from(["\ud800", "a\x00b"]),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_whatever_python_can_write_as_json_is_storable_or_refused(value: Any) -> None:
    raw = json.dumps(value).encode()
    try:
        accepted = parse_json(raw, depth_max=8)
    except InvalidRequest as error:
        orjson.dumps(error.as_problem())
        return
    text = orjson.dumps(accepted).decode()
    assert "\\u0000" not in text
    assert accepted == value


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b'{"a": [1, NaN]}', "/a/1"),
        (b'{"a": Infinity}', "/a"),
        (b'{"a": 1e999}', "/a"),
        (b'{"a": ' + b"9" * 5000 + b"}", "/a"),
        (b'{"a/b": {"c~d": "\\u0000"}}', "/a~1b/c~0d"),
        (b'{"\\u0000": 1}', "/\\u0000"),
        (b'{"a": "\\ud800"}', "/a"),
        (b'{"\\udfff": 1}', "/\\udfff"),
    ],
)
def test_a_refusal_points_at_the_place(raw: bytes, pointer: str) -> None:
    assert pointers(refusal(raw)) == [pointer]


def test_a_backslash_before_u0000_is_no_nul() -> None:
    assert parse_json(b'"\\\\u0000"', depth_max=DEPTH) == "\\u0000"


def test_depth_is_counted_in_containers() -> None:
    exact = b"[" * DEPTH + b"]" * DEPTH
    assert parse_json(exact, depth_max=DEPTH)
    assert pointers(refusal(b"[" + exact + b"]")) == ["/0" * DEPTH]


@pytest.mark.parametrize("levels", [1000, 5000, 200_000])
def test_absurd_depth_is_refused_without_a_crash(levels: int) -> None:
    error = refusal(b"[" * levels + b"]" * levels)
    assert "deeper than 64" in error.errors[0].detail


def test_many_flat_containers_are_not_deep() -> None:
    assert len(parse_json(orjson.dumps([[]] * 500), depth_max=4)) == 500


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"a" 1}', b"nul", b"\xff\xfe", b'"\xed\xa0\x80"', b"[1,]"]
)
def test_what_is_no_json_is_refused_with_a_sentence(raw: bytes) -> None:
    error = refusal(raw)
    assert (error.http_status, error.code) == (400, "invalid_json")
    assert error.detail


def test_a_refusal_names_a_bounded_number_of_places() -> None:
    assert len(refusal(b"[" + b'"\\u0000",' * 500 + b"1]").errors) == 20
