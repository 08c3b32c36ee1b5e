"""Commands that register what executions run on: definitions, functions, organisations, keys."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.contracts.base import Json, Request


class RegisterWorkflow(Request):
    """Store a validated definition. Same version and content again: 200; other content: 409."""

    type: Literal["workflow.register.v1"] = "workflow.register.v1"
    namespace: str
    name: str
    semver: str
    config: dict[str, Json]
    fingerprint: str
    """Hex SHA-256 of the canonical document."""


class FunctionDeclaration(BaseModel):
    """A function that some executor serves."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    version: str
    queue: str
    description: str = ""
    input_schema: dict[str, Json] | None = None
    output_schema: dict[str, Json] | None = None
    at_most_once: bool = False


class RegisterFunctions(Request):
    """A pool of executors says what it serves; part of the default catalog from then on."""

    type: Literal["functions.register.v1"] = "functions.register.v1"
    functions: tuple[FunctionDeclaration, ...]


class CreateOrganization(Request):
    type: Literal["organization.create.v1"] = "organization.create.v1"
    new_organization_id: UUID
    name: str
    max_concurrent_executions: int = 0


class CreateApiKey(Request):
    """Store the hash of a key that the gateway has made and shows once."""

    type: Literal["api-key.create.v1"] = "api-key.create.v1"
    key_id: UUID
    key_hash: str
    name: str = ""
    scopes: tuple[str, ...]
    expires_at_ms: int | None = None


class RevokeApiKey(Request):
    """The key opens nothing any more. Revoking it again changes nothing."""

    type: Literal["api-key.revoke.v1"] = "api-key.revoke.v1"
    key_id: UUID


class SetSecret(Request):
    """Store a secret that the gateway has sealed; one of the same name is replaced."""

    type: Literal["secret.set.v1"] = "secret.set.v1"
    name: str
    envelope: str
    """Opens with ENCRYPTION_KEY, for this organisation and name only."""


class DeleteSecret(Request):
    type: Literal["secret.delete.v1"] = "secret.delete.v1"
    name: str


class RedriveDeadLetter(Request):
    """Publish a message that was set aside once more."""

    type: Literal["dead-letter.redrive.v1"] = "dead-letter.redrive.v1"
    dead_letter_id: UUID
