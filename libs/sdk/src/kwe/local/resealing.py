"""A new ENCRYPTION_KEY: stored secrets are sealed once more, with that one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from common.errors import ConfigurationError
from common.security.sealed import open_secret, seal_secret
from common.security.vault import Unopenable, Vault
from common.settings import GatewaySettings, read

_OTHERS: Final = """
SELECT organization_id, name, envelope FROM workflow.secrets WHERE key_id <> $1
ORDER BY organization_id, name"""
_RESEAL: Final = """
UPDATE workflow.secrets SET envelope = $4, key_id = $5
WHERE organization_id = $1 AND name = $2 AND envelope = $3 RETURNING name"""


def vault_of(environ: Mapping[str, str]) -> Vault:
    """With ENCRYPTION_KEY and ENCRYPTION_KEY_PREVIOUS. Raises `ConfigurationError` without a key."""
    vault = Vault.of(read(GatewaySettings, environ))
    if not vault.has_key:
        raise ConfigurationError(
            "ENCRYPTION_KEY is not set: give the new key, and the old one in ENCRYPTION_KEY_PREVIOUS"
        )
    return vault


async def reseal(database: Any, vault: Vault) -> int:
    """How many were sealed anew. One that is set meanwhile is left as it is."""
    count = 0
    for row in await database.fetch(_OTHERS, vault.key_id):
        organization_id, name = UUID(int=row["organization_id"].int), row["name"]
        try:
            raw = open_secret(vault, organization_id, name, row["envelope"])
        except Unopenable as error:
            raise ConfigurationError(
                f"the secret {name} of organisation {organization_id} cannot be opened: {error}"
            ) from None
        envelope = seal_secret(vault, organization_id, name, raw)
        done = await database.fetchval(
            _RESEAL, organization_id, name, row["envelope"], envelope, vault.key_id
        )
        count += done is not None
    return count
