"""What is done when Redis has lost its contents.

Found out by any replica: the generation key is gone, a stream or group had to be made anew, or ids went backwards.
Somebody renews the generation; then one replica at a time, under a lock in PostgreSQL, publishes again every task
that should be in a stream and the events of the last while. What was dealt with is kept in PostgreSQL, so a crash in
the middle starts over, and a replica that comes late finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

import structlog

from common import metrics
from common.streams.names import RESTORED
from orchestrator.generation import Generation
from orchestrator.ports import Bus
from orchestrator.sweeps import Sweeps, TaskBody, Turn

log = structlog.get_logger()

EVENTS_AGE_S = 900.0
"""Events of this long are published again; consumers fill older gaps from PostgreSQL."""

PAGE = 500
NOTHING = UUID(int=0)


class RecoveryStore(Protocol):
    """May raise `StoreAway`."""

    def alone(self) -> AbstractAsyncContextManager[bool]:
        """Whether this replica is the one that recovers, for as long as the block lasts."""
        ...

    async def settled_generation(self) -> str: ...

    async def settle_generation(self, generation: str) -> None: ...

    async def published_tasks(self, after: tuple[UUID, str], limit: int) -> list[TaskBody]: ...

    async def recent_history(
        self, age_s: float, after: tuple[UUID, int], limit: int
    ) -> list[Turn]: ...


class GenerationKey(Protocol):
    """The key in Redis. Raises one of `REDIS_ERRORS`."""

    async def current(self) -> str:
        """The generation that Redis is in; begins a new one if there is none."""
        ...

    async def renew(self) -> str:
        """Begin a new one: something was lost although the key was not."""
        ...


class Recovery:
    def __init__(
        self,
        *,
        store: RecoveryStore,
        key: GenerationKey,
        bus: Bus,
        sweeps: Sweeps,
        generation: Generation,
    ) -> None:
        self._store = store
        self._key = key
        self._bus = bus
        self._sweeps = sweeps
        self._generation = generation
        self.suspects_loss = False
        """Set by whoever sees a stream without its past."""

    async def begin(self, prepare: Callable[[], Awaitable[object]]) -> None:
        """Learn the generation at start-up.

        On a new installation nothing was ever lost: `prepare` makes the groups, so that later a missing one does mean
        a loss, and the generation is settled at once.
        """
        self._generation.current = await self._key.current()
        if await self._store.settled_generation() == "":
            await prepare()
            await self._store.settle_generation(self._generation.current)

    async def is_needed(self) -> bool:
        """Learn the generation; whether its loss is still to be dealt with."""
        if self.suspects_loss:
            # Even if somebody else has just done so: what was seen here may be another loss.
            self._generation.current = await self._key.renew()
            self.suspects_loss = False
            metrics.REDIS_LOST.inc()
        else:
            self._generation.current = await self._key.current()
        settled = await self._store.settled_generation()
        if settled.startswith(RESTORED):
            # What this process remembers may be of a time that is undone. A new one remembers nothing.
            log.critical("backup_restored_under_a_running_service")
            raise SystemExit(1)
        return self._generation.current != settled

    async def run(self) -> int:
        """Publish again what Redis should hold; entries published, 0 if another replica is at it."""
        async with self._store.alone() as alone:
            if not alone:
                return 0
            generation = await self._key.current()
            if generation == await self._store.settled_generation():
                return 0
            # What is published now must carry it, or executors take it for a remainder of an earlier one.
            self._generation.current = generation
            count = await self.publish_again()
            await self._store.settle_generation(generation)
        log.warning("redis_contents_published_again", entries=count, generation=generation)
        return count

    async def publish_again(self) -> int:
        """Every task that should be in a stream, and the events of the last while; how many entries."""
        return await self._republish_tasks() + await self._republish_events()

    async def _republish_tasks(self) -> int:
        count, after = 0, (NOTHING, "")
        while bodies := await self._store.published_tasks(after, PAGE):
            await self._bus.publish(self._sweeps.as_requests(bodies), [], [])
            metrics.TASKS_PUBLISHED_AGAIN.labels(reason="redis_lost").inc(len(bodies))
            count += len(bodies)
            after = (bodies[-1].execution_id, bodies[-1].key)
        return count

    async def _republish_events(self) -> int:
        count, after = 0, (NOTHING, 0)
        while turns := await self._store.recent_history(EVENTS_AGE_S, after, PAGE):
            await self._bus.publish(self._sweeps.as_events(turns), [], [])
            count += len(turns)
            after = (turns[-1].facts.execution_id, turns[-1].seq_from)
        return count
