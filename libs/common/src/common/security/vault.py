"""Sealing with ENCRYPTION_KEY: envelopes that only their organisation's services can open.

Each envelope has a data key of its own, drawn at random, and that key is wrapped by one that is derived from
ENCRYPTION_KEY for the organisation. Both with AES-256-GCM, which also binds organisation and purpose: an envelope that is
moved to another organisation, or used for something else, does not open.

    kwe1.KEYID.BASE64URL(nonce, wrapped data key, nonce, ciphertext)

KEYID says which ENCRYPTION_KEY it was, so that keys can be exchanged: what is sealed with a previous key still opens as long
as that key is in ENCRYPTION_KEY_PREVIOUS.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final, Protocol
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import SecretStr

FORMAT: Final = "kwe1"
_NONCE_BYTES: Final = 12
_KEY_BYTES: Final = 32
_WRAPPED_BYTES: Final = _KEY_BYTES + 16
_HEAD_BYTES: Final = _NONCE_BYTES + _WRAPPED_BYTES + _NONCE_BYTES


class Unopenable(Exception):
    """The envelope cannot be opened here."""


class UnknownKey(Unopenable):
    """It was sealed with a key that is not known here."""


class _KeySettings(Protocol):
    @property
    def encryption_key(self) -> SecretStr | None: ...

    @property
    def encryption_key_previous(self) -> SecretStr | None: ...


class Vault:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._keys = {_id_of(key): key for key in reversed(keys)}
        self.key_id = _id_of(keys[0]) if keys else ""
        """Of the key that seals; empty where there is none."""

    @classmethod
    def of(cls, settings: _KeySettings) -> Vault:
        current, previous = settings.encryption_key, settings.encryption_key_previous
        texts = [] if current is None else [current.get_secret_value()]
        if previous is not None:
            texts += previous.get_secret_value().split(",")
        return cls([base64.b64decode(text.strip()) for text in texts if text.strip()])

    @property
    def has_key(self) -> bool:
        return bool(self.key_id)

    def seal(self, organization_id: UUID, purpose: str, plain: bytes) -> str:
        if not self.has_key:
            raise UnknownKey("ENCRYPTION_KEY is not set")
        bound = _bound_to(organization_id, purpose)
        data_key = os.urandom(_KEY_BYTES)
        outer, inner = os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        wrapping = AESGCM(_derived(self._keys[self.key_id], organization_id))
        wrapped = wrapping.encrypt(outer, data_key, bound)
        body = outer + wrapped + inner + AESGCM(data_key).encrypt(inner, plain, bound)
        return f"{FORMAT}.{self.key_id}.{base64.urlsafe_b64encode(body).decode()}"

    def open(self, organization_id: UUID, purpose: str, envelope: str) -> bytes:
        """Raise `Unopenable`: forged, moved, or sealed with another key."""
        key, body = self._read(envelope)
        bound = _bound_to(organization_id, purpose)
        outer, rest = body[:_NONCE_BYTES], body[_NONCE_BYTES:]
        wrapped, rest = rest[:_WRAPPED_BYTES], rest[_WRAPPED_BYTES:]
        try:
            data_key = AESGCM(_derived(key, organization_id)).decrypt(outer, wrapped, bound)
            inner, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
            return AESGCM(data_key).decrypt(inner, ciphertext, bound)
        except InvalidTag:
            raise Unopenable("the envelope was not sealed for this") from None

    def _read(self, envelope: str) -> tuple[bytes, bytes]:
        kind, _, rest = envelope.partition(".")
        key_id, _, text = rest.partition(".")
        if kind != FORMAT:
            raise Unopenable("this is no envelope")
        key = self._keys.get(key_id)
        if key is None:
            raise UnknownKey(
                f"it was sealed with the key {key_id[:16]}, which is neither ENCRYPTION_KEY nor in "
                "ENCRYPTION_KEY_PREVIOUS"
            )
        try:
            body = base64.urlsafe_b64decode(text)
        except (binascii.Error, ValueError):
            body = b""
        if len(body) < _HEAD_BYTES:
            raise Unopenable("the envelope is damaged")
        return key, body


def key_id_of(envelope: str) -> str:
    """Which key an envelope was sealed with."""
    return envelope.partition(".")[2].partition(".")[0]


def _id_of(key: bytes) -> str:
    # A hash of 256 random bits gives nothing away.
    return sha256(b"kwe key id" + key).hexdigest()[:8]


@lru_cache(maxsize=4096)
def _derived(key: bytes, organization_id: UUID) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"kwe/" + organization_id.bytes).derive(key)


def _bound_to(organization_id: UUID, purpose: str) -> bytes:
    return organization_id.bytes + purpose.encode()
