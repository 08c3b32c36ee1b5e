"""Secrets are found in the forms in which they travel."""

import base64
import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest

from common.redaction import Redactor, hidden_from_logs
from common.security.hiding import REDACTED, Hiding

SECRET = 'p@ss/+ "wörd"\\&\n😀'
RAW = SECRET.encode()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(SECRET))[3:-3],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET).replace("%2F", "/"),
        quote(SECRET, safe="").lower(),
        escape(SECRET, quote=False),
        RAW.hex(),
        RAW.hex().upper(),
    ],
)
def test_a_secret_is_found_however_it_is_escaped(form: str) -> None:
    hiding = Hiding([SECRET])
    assert hiding.text(f"before {form} after") == f"before {REDACTED} after"
    assert hiding.is_in(f"before {form} after".encode())


@pytest.mark.parametrize("before", ["", "a", "ab", "ada:", "x" * 7])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_is_found_within_base64(before: str, encode: object) -> None:
    assert callable(encode)
    text = encode((before + SECRET + "zz").encode()).decode()
    hidden = Hiding([SECRET]).text(text)
    assert REDACTED in hidden
    assert len(hidden) - len(REDACTED) <= len(encode((before + "zz").encode())) + 4


def test_names_of_properties_and_numbers_are_cleaned_too() -> None:
    hiding = Hiding(["hidden-name", "271828"])
    cleaned = hiding.json({"hidden-name": [271828, 1, True, None], "b": "x"})
    assert cleaned == {REDACTED: [REDACTED, 1, True, None], "b": "x"}


def test_very_short_secrets_are_not_looked_for() -> None:
    assert Hiding(["abc"]).text("abcabc") == "abcabc"


def test_the_longest_form_is_taken_first() -> None:
    assert Hiding(["token", "token-and-more"]).text("token-and-more") == REDACTED


def test_a_very_long_secret_is_found_as_a_whole() -> None:
    secret = "é/" * 2000
    assert Hiding([secret]).text(quote(secret, safe="")) == REDACTED


def test_what_becomes_known_later_is_hidden_as_well() -> None:
    hiding = Hiding()
    assert hiding.text("later") == "later"
    hiding.add(["later"])
    assert hiding.text("later") == REDACTED


def test_log_lines_within_a_task_are_cleaned() -> None:
    hiding = Hiding(["swordfish"])
    with hidden_from_logs(hiding):
        line = Redactor().line(
            {"event": "e", "reason": "swordfish!", "error": ValueError("swordfish")}
        )
    assert line == {"event": "e", "reason": f"{REDACTED}!", "error": REDACTED}
    assert Redactor().line({"event": "swordfish"}) == {"event": "swordfish"}
