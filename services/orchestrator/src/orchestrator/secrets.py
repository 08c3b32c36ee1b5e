"""What secrets are to the orchestrator: opened for the length of a turn, sealed before anything is stored or sent.

An expression that reads `$secrets` makes the turn ask for them. What is made from them carries their texts along
(`Value.secrets`), and leaves this process only in an envelope.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol
from uuid import UUID

import orjson

from common.security.sealed import (
    are_sealed,
    is_sealed,
    open_bytes,
    open_secret,
    seal_bytes,
)
from common.security.vault import Unopenable, Vault
from workflow.core import messages as core
from workflow.core.errors import ErrorKind, error_of
from workflow.core.values import Secrets, Value


class SecretStore(Protocol):
    async def envelopes(self, organization_id: UUID, names: Sequence[str]) -> Mapping[str, str]:
        """Those of the secrets that there are."""
        ...


class NoSecrets:
    """For engines that keep none."""

    async def envelopes(self, organization_id: UUID, names: Sequence[str]) -> Mapping[str, str]:
        del organization_id, names
        return {}


class OpenSecrets:
    """Opens secrets and sealed values."""

    def __init__(self, store: SecretStore, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    async def of(self, organization_id: UUID, names: Sequence[str]) -> tuple[dict[str, Any], str]:
        """The secrets of these names, and in words what is in the way of one of them."""
        if not self._vault.has_key:
            return {}, "secrets cannot be opened: ENCRYPTION_KEY is not set for the orchestrator"
        envelopes = await self._store.envelopes(organization_id, names)
        known: dict[str, Any] = {}
        for name in names:
            if name not in envelopes:
                return {}, f"there is no secret {name!r}: set it with `kwe secrets set {name}`"
            try:
                raw = open_secret(self._vault, organization_id, name, envelopes[name])
            except Unopenable as error:
                return {}, f"the secret {name!r} cannot be opened: {error}"
            known[name] = orjson.loads(raw)
        return known, ""

    def opened(self, organization_id: UUID, raw: bytes) -> tuple[bytes, Secrets]:
        """Stored JSON, and what it was made from if it was sealed. Raises `Unopenable`."""
        if not are_sealed(raw):
            return raw, None
        return open_bytes(self._vault, organization_id, raw)

    def message(self, organization_id: UUID, message: core.Message) -> core.Message:
        """The message with its value opened; a fault of its task if that cannot be done."""
        if not isinstance(message, core.TaskCompleted | core.ChildClosed):
            return message
        value = message.output
        if not value.is_loaded or not is_sealed(value.json):
            return message
        try:
            raw, secrets = open_bytes(self._vault, organization_id, value.raw)
        except Unopenable as error:
            detail = f"the output is sealed and cannot be opened: {error}"
            return core.Fault(message.key, error_of(ErrorKind.CONFIGURATION, detail))
        return replace(message, output=Value.of_bytes(raw, secrets))


def sealed(vault: Vault, organization_id: UUID, raw: bytes, secrets: Secrets) -> bytes:
    """Encoded JSON as it may be stored and sent."""
    return raw if secrets is None else seal_bytes(vault, organization_id, raw, secrets)
