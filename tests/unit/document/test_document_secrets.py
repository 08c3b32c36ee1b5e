"""Secrets and grants that could only fail later are refused at registration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from workflow.document.diagnostics import Code

Find = Callable[..., Any]

HTTP = "call: http, with: {method: get, endpoint: {uri: 'http://a.example', authentication: %s}}"


def oauth(**more: str) -> str:
    parts = {"authority": "'https://id.example.com'", **more}
    inline = ", ".join(f"{name}: {value}" for name, value in parts.items())
    return "do:\n- a: {" + HTTP % ("{oauth2: {" + inline + "}}") + "}"


def test_secrets_without_a_declaration_are_refused(diagnose: Find) -> None:
    (found,) = diagnose("do:\n- a: {set: {x: '${ $secrets.word }'}}", everything=False)
    assert (found.code, found.pointer) == (Code.REFERENCE, "/do/0/a/set/x")
    assert "use.secrets" in found.advice


@pytest.mark.parametrize("read", ["$secrets.wrod", '$secrets["wrod"]', '$secrets."wrod" // 1'])
def test_a_secret_that_is_not_declared_is_refused(diagnose: Find, read: str) -> None:
    body = f"use: {{secrets: [word]}}\ndo:\n- a: {{set: {{x: '${{ {read} }}'}}}}"
    found = diagnose(body, everything=False)
    assert [(d.code, d.advice) for d in found] == [(Code.REFERENCE, "Did you mean `word`?")]


@pytest.mark.parametrize(
    "read", ["$secrets.word", '$secrets["word"]', "$secrets", "$secrets[.name]"]
)
def test_declared_secrets_are_accepted(diagnose: Find, read: str) -> None:
    body = f"use: {{secrets: [word]}}\ndo:\n- a: {{set: {{x: '${{ {read} }}'}}}}"
    assert diagnose(body, everything=False) == []


def test_a_policy_may_name_a_declared_secret(diagnose: Find) -> None:
    body = "use: {secrets: [s]}\ndo:\n- a: {" + HTTP % "{oidc: {use: s}}" + "}"
    assert diagnose(body, everything=False) == []


def test_a_grant_that_needs_a_person_is_refused(diagnose: Find) -> None:
    (found,) = diagnose(oauth(grant="authorization_code"), everything=False)
    assert found.code is Code.UNSUPPORTED
    assert found.pointer.endswith("/oauth2/grant")


@pytest.mark.parametrize(
    ("grant", "given", "missing"),
    [
        ("client_credentials", {}, "client"),
        ("password", {"username": "u"}, "password"),
        ("refresh_token", {}, "subject"),
        ("'urn:ietf:params:oauth:grant-type:token-exchange'", {}, "subject"),
    ],
)
def test_a_grant_needs_what_it_asks_with(
    diagnose: Find, grant: str, given: dict[str, str], missing: str
) -> None:
    (found,) = diagnose(oauth(grant=grant, **given), everything=False)
    assert found.code is Code.STRUCTURE
    assert f"`{missing}`" in found.message
