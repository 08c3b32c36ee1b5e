"""What serving asks of others, in our words. Every method may be a crash point in the simulation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from common.contracts.base import PayloadReference, Request
from common.contracts.tasks import TaskClaim
from common.serving.claims import Claim, Verdict
from common.serving.context import TaskContext


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry that was read from the queue."""

    id: str
    raw: bytes
    claimed: bool = False
    """It was somebody else's for longer than the lease."""


class Bus(Protocol):
    """One queue, and the streams that answers go to."""

    async def read(self, count: int) -> list[Delivery]:
        """At most `count` entries: our own pending ones first, then abandoned ones, then new ones. May be empty."""
        ...

    async def claim(self, wanted: Sequence[Claim]) -> list[Verdict]:
        """Judge each entry, take the claims of those that run, remove those that do not: `lua/claim.lua`."""
        ...

    async def refresh(self, running: Sequence[Claim]) -> list[bool]:
        """Renew claims and entries; False for a try that must stop: `lua/refresh.lua`."""
        ...

    async def publish(self, entries: Sequence[tuple[str, bytes]]) -> None:
        """Add messages to streams. Once it returns they are there; if it raises they may be."""
        ...

    async def settle(self, finished: Sequence[Claim]) -> None:
        """Remove answered entries and leave their claims as done: `lua/settle.lua`."""
        ...

    async def drop(self, entry_ids: Sequence[str]) -> None:
        """Remove entries that are not worth running."""
        ...

    async def generation(self) -> str:
        """Of the contents of Redis, as read just now; empty when there is none."""
        ...

    async def leave(self, unfinished: Sequence[Claim]) -> None:
        """Hand back everything we still have, at once readable by others: `lua/hand_back.lua`."""
        ...


class Store(Protocol):
    """Bodies too large to travel in a stream."""

    async def load(self, organization_id: UUID, reference: PayloadReference) -> bytes:
        """Raise `LookupError` when it is not there."""
        ...

    async def save(self, organization_id: UUID, owner_id: UUID, raw: bytes) -> PayloadReference: ...


class Grants(Protocol):
    """Permission to run an at-most-once task."""

    async def ask(self, claim: TaskClaim, partition: int) -> bool:
        """Ask until there is an answer. False: it was granted to somebody else before, do not run."""
        ...


Handler = Callable[[Any, TaskContext], Awaitable[Any]]
"""Performs one try: JSON in, JSON out. Raises `FunctionError`; anything else is a `runtime` error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request handler replies. Refusals are raised as `common.errors.EngineError`."""

    status: int = 200
    body: Any = None


RequestHandler = Callable[[Any], Awaitable[Answer]]
"""Answers one request, given its message."""

RequestHandlers = dict[type[Request], RequestHandler]
