"""API keys: `kwe_<id>_<secret>`. The id finds the stored hash; the whole key is never stored.

The secret has 256 random bits, so a plain SHA-256 of the key is enough: there is nothing to guess, and no reason to
make every request pay for a slow hash.
"""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

PREFIX: Final = "kwe"
_ALPHABET: Final = string.ascii_letters + string.digits
_SECRET_LENGTH: Final = 43  # of 62 letters: 256 bits
_KEY: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{32}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}}")
_NO_HASH: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key just made. `text` is shown once and kept nowhere."""

    id: UUID
    text: str = field(repr=False)

    @property
    def hash(self) -> str:
        return hash_key(self.text)


def new_api_key(key_id: UUID) -> ApiKey:
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return ApiKey(id=key_id, text=f"{PREFIX}_{key_id.hex}_{secret}")


def key_id_of(text: str) -> UUID | None:
    """Which stored key to compare with. `None` means that it is no key of ours, whatever is stored."""
    match = _KEY.fullmatch(text)
    return UUID(hex=match[1]) if match is not None else None


def hash_key(text: str) -> str:
    """What is stored: SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def matches(text: str, stored_hash: str | None) -> bool:
    """Compare in constant time, for an unknown id (`None`) as well."""
    expected = stored_hash if stored_hash is not None else _NO_HASH
    return hmac.compare_digest(hash_key(text), expected) and stored_hash is not None
