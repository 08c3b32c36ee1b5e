"""Envelopes: only with the key, only for their organisation and purpose; keys can be exchanged."""

import base64
from uuid import UUID

import pytest
from pydantic import SecretStr

from common.security.sealed import (
    are_sealed,
    is_sealed,
    open_bytes,
    open_secret,
    open_value,
    seal_bytes,
    seal_secret,
    seal_value,
)
from common.security.vault import UnknownKey, Unopenable, Vault, key_id_of
from common.settings import OrchestratorSettings

ORG, OTHER = UUID(int=1), UUID(int=2)
OLD, NEW = bytes(range(32)), bytes(range(1, 33))


def test_what_is_sealed_opens_again() -> None:
    vault = Vault([OLD])
    envelope = vault.seal(ORG, "value", b"plain")
    assert vault.open(ORG, "value", envelope) == b"plain"
    assert "plain" not in envelope


def test_the_same_content_is_never_sealed_to_the_same_envelope() -> None:
    vault = Vault([OLD])
    assert vault.seal(ORG, "value", b"plain") != vault.seal(ORG, "value", b"plain")


@pytest.mark.parametrize(("organization", "purpose"), [(OTHER, "value"), (ORG, "other")])
def test_an_envelope_that_was_moved_does_not_open(organization: UUID, purpose: str) -> None:
    vault = Vault([OLD])
    envelope = vault.seal(ORG, "value", b"plain")
    with pytest.raises(Unopenable):
        vault.open(organization, purpose, envelope)


@pytest.mark.parametrize("at", [15, 60, -3])
def test_a_changed_envelope_does_not_open(at: int) -> None:
    vault = Vault([OLD])
    envelope = vault.seal(ORG, "value", b"plain")
    changed = envelope[:at] + ("A" if envelope[at] != "A" else "B") + envelope[at + 1 :]
    with pytest.raises(Unopenable):
        vault.open(ORG, "value", changed)


@pytest.mark.parametrize("text", ["", "kwe1", "kwe1.x.y", "other.1.2", "kwe1..", "kwe1.630dcd29.A"])
def test_what_is_no_envelope_does_not_open(text: str) -> None:
    with pytest.raises(Unopenable):
        Vault([OLD]).open(ORG, "value", text)


def test_a_damaged_envelope_of_a_known_key_does_not_open() -> None:
    vault = Vault([OLD])
    with pytest.raises(Unopenable, match="damaged"):
        vault.open(ORG, "value", f"kwe1.{vault.key_id}.AAAA")


def test_a_previous_key_opens_and_the_new_one_seals() -> None:
    envelope = Vault([OLD]).seal(ORG, "value", b"plain")
    both = Vault([NEW, OLD])
    assert both.open(ORG, "value", envelope) == b"plain"
    assert key_id_of(both.seal(ORG, "value", b"plain")) == Vault([NEW]).key_id


def test_without_its_key_an_envelope_names_the_settings() -> None:
    envelope = Vault([OLD]).seal(ORG, "value", b"plain")
    with pytest.raises(UnknownKey, match="ENCRYPTION_KEY_PREVIOUS"):
        Vault([NEW]).open(ORG, "value", envelope)


def test_nothing_is_sealed_without_a_key() -> None:
    with pytest.raises(UnknownKey):
        Vault().seal(ORG, "value", b"plain")


def test_keys_come_from_the_settings() -> None:
    texts = [base64.b64encode(key).decode() for key in (NEW, OLD, bytes(32))]
    given = {
        "database_url": "postgresql://x/y",
        "encryption_key": texts[0],
        "encryption_key_previous": f"{texts[1]}, {texts[2]}",
    }
    vault = Vault.of(OrchestratorSettings.model_validate(given))
    assert vault.key_id == Vault([NEW]).key_id
    assert vault.open(ORG, "value", Vault([OLD]).seal(ORG, "value", b"plain")) == b"plain"


def test_a_previous_key_is_checked_like_the_current_one() -> None:
    given = {"database_url": "postgresql://x/y", "encryption_key_previous": SecretStr("short")}
    with pytest.raises(ValueError, match="32 random bytes"):
        OrchestratorSettings.model_validate(given)


def test_a_secret_opens_under_its_own_name_only() -> None:
    vault = Vault([OLD])
    envelope = seal_secret(vault, ORG, "mine", b'"x"')
    assert open_secret(vault, ORG, "mine", envelope) == b'"x"'
    with pytest.raises(Unopenable):
        open_secret(vault, ORG, "yours", envelope)


def test_a_sealed_value_tells_what_must_not_be_shown() -> None:
    vault = Vault([OLD])
    sealed = seal_value(vault, ORG, b'{"a": "token"}', frozenset({"token"}))
    assert is_sealed(sealed)
    assert open_value(vault, ORG, sealed) == ({"a": "token"}, frozenset({"token"}))


def test_sealed_bytes_are_known_with_the_spaces_that_a_database_puts_in() -> None:
    raw = seal_bytes(Vault([OLD]), ORG, b"1", frozenset())
    spaced = raw.replace(b":", b": ", 1)
    assert are_sealed(raw)
    assert are_sealed(spaced)
    assert open_bytes(Vault([OLD]), ORG, spaced) == (b"1", frozenset())


@pytest.mark.parametrize(
    "value", [None, "$sealed", {"$sealed": 1}, {"$sealed": "x"}, {"$sealed": "kwe1.a.b", "more": 1}]
)
def test_other_values_are_not_taken_for_sealed_ones(value: object) -> None:
    assert not is_sealed(value)
