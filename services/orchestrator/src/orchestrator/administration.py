"""Commands that register what executions run on. One at a time, each in a transaction of its own; all may be repeated."""

from __future__ import annotations

from typing import Any, Protocol

import structlog

from common.contracts.administration import (
    CreateApiKey,
    CreateOrganization,
    DeleteSecret,
    RedriveDeadLetter,
    RegisterFunctions,
    RegisterWorkflow,
    RevokeApiKey,
    SetSecret,
)
from common.contracts.base import Request, encode
from common.contracts.replies import Reply
from common.streams.consumer import Entry
from common.streams.publisher import Outgoing
from orchestrator.answers import refuse
from orchestrator.ports import Bus, DataRefused

log = structlog.get_logger()

ADMINISTRATION = frozenset(
    {
        RegisterWorkflow,
        RegisterFunctions,
        CreateOrganization,
        CreateApiKey,
        RevokeApiKey,
        RedriveDeadLetter,
        SetSecret,
        DeleteSecret,
    }
)


class AdministrationStore(Protocol):
    """Each raises `StoreAway`, or `DataRefused` for what breaks a constraint."""

    async def register(self, command: RegisterWorkflow) -> tuple[int, dict[str, Any]]:
        """Status 201, 200 or 409, and the registered version."""
        ...

    async def declare(self, command: RegisterFunctions) -> None: ...

    async def create_organization(self, command: CreateOrganization) -> dict[str, Any]: ...

    async def create_api_key(self, command: CreateApiKey) -> bool:
        """Whether there is such an organisation."""
        ...

    async def revoke_api_key(self, command: RevokeApiKey) -> bool:
        """Whether the organisation has such a key."""
        ...

    async def redrive(self, command: RedriveDeadLetter) -> Outgoing | None: ...


class SecretsStore(Protocol):
    """Raises as the other one does."""

    async def put(self, command: SetSecret) -> dict[str, Any]:
        """What the secret is now, but for its value."""
        ...

    async def remove(self, command: DeleteSecret) -> bool:
        """Whether there was one."""
        ...


class Administration:
    def __init__(self, store: AdministrationStore, secrets: SecretsStore, bus: Bus) -> None:
        self._store = store
        self._secrets = secrets
        self._bus = bus

    async def handle(self, command: Request, entry: Entry) -> None:
        """Carry out, reply, acknowledge. A crash in between makes it happen again, to the same end."""
        outgoing: list[Outgoing] = []
        try:
            reply = await self._carry_out(command, outgoing)
        except DataRefused as refused:
            log.warning("command_refused", command=type(command).__name__, reason=str(refused))
            reply = refuse(command, 409, "conflict", "It contradicts what is registered already.")
        if command.reply_to:
            outgoing.append(Outgoing(command.reply_to, encode(reply)))
        await self._bus.publish(outgoing, [], [entry])

    async def _carry_out(self, command: Request, outgoing: list[Outgoing]) -> Reply:
        status, body = 200, None
        match command:
            case RegisterWorkflow():
                status, body = await self._store.register(command)
                if status == 409:
                    return _version_taken(command)
            case RegisterFunctions():
                await self._store.declare(command)
            case CreateOrganization():
                status, body = 201, await self._store.create_organization(command)
            case CreateApiKey():
                if not await self._store.create_api_key(command):
                    return refuse(
                        command, 404, "organization_not_found", "There is no such organisation."
                    )
                status = 201
            case RevokeApiKey():
                if not await self._store.revoke_api_key(command):
                    return refuse(command, 404, "not_found", "There is no such API key.")
                status = 204
            case RedriveDeadLetter():
                again = await self._store.redrive(command)
                if again is None:
                    return refuse(command, 404, "not_found", "There is no such dead letter.")
                outgoing.append(again)
                status = 202
            case SetSecret():
                body = await self._secrets.put(command)
            case DeleteSecret():
                if not await self._secrets.remove(command):
                    return refuse(command, 404, "not_found", "There is no such secret.")
                status = 204
        return Reply(
            organization_id=command.organization_id,
            request_id=command.message_id,
            status=status,
            body=body,
        )


def _version_taken(command: RegisterWorkflow) -> Reply:
    return refuse(
        command,
        409,
        "version_taken",
        f"Version {command.semver} of {command.namespace}/{command.name} has other content. "
        "A registered version never changes: raise document.version.",
    )
