"""Keys, tokens and scopes: what is accepted, what is refused, what is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from common.errors import Forbidden, Unauthenticated
from common.security import (
    Principal,
    Scope,
    TokenIssuer,
    TokenVerifier,
    format_scopes,
    hash_key,
    key_id_of,
    matches,
    new_api_key,
    parse_scopes,
)

SECRET = "a-secret-of-at-least-32-characters"
ORGANIZATION = UUID("0194b1c4-0000-7000-8000-000000000001")
ISSUER = TokenIssuer(
    secret=SecretStr(SECRET), issuer="kwe", audience="kwe", expiry=timedelta(hours=1)
)
VERIFIER = TokenVerifier(secret=SecretStr(SECRET), issuer="kwe", audience="kwe")


def principal(*scopes: Scope, groups: frozenset[str] = frozenset()) -> Principal:
    return Principal(
        organization_id=ORGANIZATION, subject="ann", scopes=frozenset(scopes), groups=groups
    )


def claims(**changed: Any) -> dict[str, Any]:
    now = datetime.now(UTC)
    complete: dict[str, Any] = {
        "sub": "ann",
        "org": str(ORGANIZATION),
        "scope": "executions:read",
        "iat": now,
        "exp": now + timedelta(hours=1),
        "aud": "kwe",
        "iss": "kwe",
    }
    return {name: value for name, value in {**complete, **changed}.items() if value is not None}


def signed(payload: dict[str, Any], *, secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(payload, secret, algorithm=algorithm)


@given(
    scopes=st.frozensets(st.sampled_from(Scope)),
    groups=st.frozensets(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10), max_size=4
    ),
    subject=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)
def test_a_token_carries_exactly_the_rights_it_was_issued_for(
    scopes: frozenset[Scope], groups: frozenset[str], subject: str
) -> None:
    holder = Principal(organization_id=uuid4(), subject=subject, scopes=scopes, groups=groups)
    assert VERIFIER.verify(ISSUER.issue(holder)) == holder


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not.a.token",
        "é" * 20,
        "x" * 10_000,
        signed(claims(), secret="another-secret-of-at-least-32-chars"),
        signed(claims(), algorithm="HS384", secret=SECRET * 2),
        signed(claims(aud="somebody-else")),
        signed(claims(iss="somebody-else")),
        signed(claims(sub=None)),
        signed(claims(org=None)),
        signed(claims(exp=None)),
        signed(claims(org="default")),
        signed(claims(org=7)),
        signed(claims(scope=7)),
        signed(claims(groups={"a": 1})),
        signed(claims(iat=datetime.now(UTC) + timedelta(hours=1))),
        jwt.encode(claims(), "", algorithm="none"),
    ],
)
def test_any_other_token_is_refused(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        VERIFIER.verify(token)
    assert refused.value.code == "invalid_token"
    assert SECRET not in refused.value.detail


def test_an_expired_token_says_so() -> None:
    past = datetime.now(UTC) - timedelta(hours=2)
    with pytest.raises(Unauthenticated) as refused:
        VERIFIER.verify(signed(claims(iat=past, exp=past + timedelta(hours=1))))
    assert refused.value.code == "token_expired"


def test_clocks_may_differ_a_little() -> None:
    just_now = datetime.now(UTC) - timedelta(seconds=5)
    assert VERIFIER.verify(signed(claims(exp=just_now))).subject == "ann"


def test_a_caller_may_only_shorten_the_expiry() -> None:
    def lifetime(expiry: timedelta) -> int:
        token = ISSUER.issue(principal(), expiry=expiry)
        decoded = jwt.decode(token, SECRET, algorithms=["HS256"], audience="kwe")
        return int(decoded["exp"] - decoded["iat"])

    assert lifetime(timedelta(minutes=1)) == 60
    assert lifetime(timedelta(days=9)) == 3600


def test_scopes_that_are_not_known_grant_nothing() -> None:
    assert parse_scopes("executions:read executions:delete *") == {Scope.EXECUTIONS_READ}
    assert parse_scopes(["admin"]) == {Scope.ADMIN}


def test_scopes_are_formatted_in_a_stable_order() -> None:
    assert format_scopes({Scope.WORKFLOWS_READ, Scope.ADMIN}) == "admin workflows:read"


def test_a_missing_scope_is_named() -> None:
    reader = principal(Scope.EXECUTIONS_READ)
    reader.require(Scope.EXECUTIONS_READ)
    with pytest.raises(Forbidden, match="executions:write") as refused:
        reader.require(Scope.EXECUTIONS_WRITE)
    assert refused.value.extensions == {"scope": "executions:write"}


@pytest.mark.parametrize("scope", Scope)
def test_an_administrator_may_do_everything(scope: Scope) -> None:
    assert principal(Scope.ADMIN).may(scope)


@given(st.uuids())
def test_a_key_names_its_id_and_matches_only_its_own_hash(key_id: UUID) -> None:
    key, other = new_api_key(key_id), new_api_key(key_id)
    assert key_id_of(key.text) == key_id
    assert matches(key.text, key.hash)
    assert not matches(other.text, key.hash)
    assert not matches(key.text, None)


def test_what_is_stored_or_shown_does_not_hold_the_secret() -> None:
    key = new_api_key(uuid4())
    secret = key.text.rpartition("_")[2]
    assert len(secret) == 43
    assert secret not in key.hash
    assert secret not in repr(key)
    assert key.hash == hash_key(key.text)


@given(st.text(max_size=90))
def test_any_other_text_is_no_key_and_matches_nothing(text: str) -> None:
    assert key_id_of(text) is None
    assert not matches(text, new_api_key(uuid4()).hash)


@pytest.mark.parametrize("change", [str.upper, lambda text: text + "x", lambda text: f" {text}"])
def test_a_key_is_recognised_only_exactly(change: Any) -> None:
    assert key_id_of(change(new_api_key(uuid4()).text)) is None
