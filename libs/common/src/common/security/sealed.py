"""JSON values that hold secrets, as they are stored and sent: `{"$sealed": "kwe1.…"}`.

The envelope holds the value, and the texts of the secrets that it was made from: whoever opens it must keep these out of what
it says about the value.
"""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

import orjson

from common.security.vault import FORMAT, Unopenable, Vault

PROPERTY: Final = "$sealed"
_PURPOSE: Final = "value"
_FORM: Final = re.compile(
    rb'\s*\{\s*"\$sealed"\s*:\s*"(' + FORMAT.encode() + rb'\.[^"\\]*)"\s*\}\s*'
)
_NAMED: Final = "secret/"


def seal_value(
    vault: Vault, organization_id: UUID, raw: bytes, secrets: frozenset[str]
) -> dict[str, str]:
    content = orjson.dumps({"secrets": sorted(secrets), "value": orjson.Fragment(raw)})
    return {PROPERTY: vault.seal(organization_id, _PURPOSE, content)}


def seal_bytes(vault: Vault, organization_id: UUID, raw: bytes, secrets: frozenset[str]) -> bytes:
    return orjson.dumps(seal_value(vault, organization_id, raw, secrets))


def is_sealed(json: Any) -> bool:
    if type(json) is not dict or len(json) != 1:
        return False
    envelope = json.get(PROPERTY)
    return isinstance(envelope, str) and envelope.startswith(f"{FORMAT}.")


def are_sealed(raw: bytes) -> bool:
    """The same of encoded JSON; PostgreSQL puts spaces into it."""
    return b'"$sealed"' in raw[:64] and _FORM.fullmatch(raw) is not None


def open_value(vault: Vault, organization_id: UUID, json: Any) -> tuple[Any, frozenset[str]]:
    """The value, and the texts that must not be shown. Raises `Unopenable`."""
    content = orjson.loads(vault.open(organization_id, _PURPOSE, json[PROPERTY]))
    return content["value"], frozenset(content["secrets"])


def open_bytes(vault: Vault, organization_id: UUID, raw: bytes) -> tuple[bytes, frozenset[str]]:
    value, secrets = open_value(vault, organization_id, orjson.loads(raw))
    return orjson.dumps(value), secrets


def seal_secret(vault: Vault, organization_id: UUID, name: str, raw: bytes) -> str:
    """A secret as it is stored. It opens under its own name only."""
    return vault.seal(organization_id, _NAMED + name, raw)


def open_secret(vault: Vault, organization_id: UUID, name: str, envelope: str) -> bytes:
    return vault.open(organization_id, _NAMED + name, envelope)


__all__ = [
    "PROPERTY",
    "Unopenable",
    "are_sealed",
    "is_sealed",
    "open_bytes",
    "open_secret",
    "open_value",
    "seal_bytes",
    "seal_secret",
    "seal_value",
]
