"""The quick look at a line never lets pass what the thorough one would take out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redaction import REDACTED, WITHHELD, Redactor

KNOWN = "the-very-secret-password"
SECRETS = [
    "postgresql://kwe:hunter22@db:5432/kwe",
    "rediss://:p%2Fss@redis:6379",
    "Authorization: Bearer abcdefghijklmnop",
    "BASIC dXNlcjpwYXNzd29yZA==",
    "password=hunter22",
    "'api_key': 'hunter22'",
    "Secret: hunter22",
    "access_token=hunter22",
    "sk-abcdefghijklmnopqrst",
    "kwe_" + "0a" * 16 + "_" + "Z" * 43,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "AKIAABCDEFGHIJKLMNOP",
    f"it was {KNOWN}!",
    "DETAIL: Failing row contains (diagnosis).",
    "[type=string_type, input_value='diagnosis', input_type=str]",
]
HARMLESS = ["support/refund", "10.0.0.1", "0194b1c4-0000-7000-8000-000000000001", "kwe/0.1 Python"]


@pytest.mark.parametrize("text", SECRETS)
def test_what_is_to_be_hidden_is_hidden(text: str) -> None:
    cleaned = Redactor([KNOWN]).text(f"before {text} after")
    assert cleaned.startswith("before ")
    assert REDACTED in cleaned or WITHHELD in cleaned
    for private in ("hunter22", "p%2Fss", "abcdefgh", "dXNlcj", "ZZZ", "c2ln", KNOWN, "diagnosis"):
        assert private not in cleaned


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert Redactor([KNOWN]).text(text) == text


TEXTS = st.sampled_from([*SECRETS, *HARMLESS]) | st.text(max_size=20)
VALUES = st.recursive(
    TEXTS | st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=4,
)
NAMES = st.sampled_from(["event", "error", "Password", "refresh_token", "prompt", "path", "body"])


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_the_quick_look_finds_all_that_the_thorough_one_does(
    fields: dict[str, object], contents: bool
) -> None:
    redactor = Redactor([KNOWN], contents=contents)
    thorough = {name: redactor.field(name, value) for name, value in fields.items()}
    assert dict(redactor.line(fields)) == thorough
