"""All periodic repair of the orchestrator, in one place. Each round that fails is tried again at the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

import asyncpg
import structlog

from common.contracts.executions import ContinueExecution
from common.metrics import UPKEEP_FAILURES
from common.streams.connection import REDIS_ERRORS, Link
from orchestrator.affinity import Membership, assign
from orchestrator.assemble import Installation
from orchestrator.bus import RedisBus
from orchestrator.committing import Committing
from orchestrator.definitions import Definitions
from orchestrator.deliveries import Delivery
from orchestrator.dispatcher import Dispatcher
from orchestrator.events import Events
from orchestrator.housekeeping import Housekeeping
from orchestrator.intake import Intake
from orchestrator.paces import (
    CLOCK_S,
    GAUGES_S,
    LOOK_S,
    REFILL_S,
    SWEEP_S,
    TICK_S,
    TIDY_S,
    TRIM_S,
)
from orchestrator.ports import StoreAway
from orchestrator.recovery import Recovery
from orchestrator.redis_view import lost_streams, say_database_is_reachable
from orchestrator.storage.installation import DatabaseClock, PostgresLimits
from orchestrator.storage.sweeps import PostgresSweeps
from orchestrator.sweeps import Sweeps
from orchestrator.windows import QueueWindows

log = structlog.get_logger()

QUIET_S = 30.0
"""A lease: nothing is declared dead before everybody had so much time to speak."""

SETTLE_S = 5.0
"""After a loss of Redis, one refresh interval passes before tasks are published again: live owners claim theirs."""


class Upkeep:
    def __init__(
        self,
        *,
        pool: asyncpg.Pool[asyncpg.Record],
        link: Link,
        instance: str,
        installation: Installation,
        intake: Intake,
        dispatcher: Dispatcher,
        committing: Committing,
        definitions: Definitions,
        sweeps: Sweeps,
        store: PostgresSweeps,
        recovery: Recovery,
        limits: PostgresLimits,
        windows: QueueWindows,
        clock: DatabaseClock,
        housekeeping: Housekeeping,
        events: Events,
        bus: RedisBus,
    ) -> None:
        self._pool = pool
        self._link = link
        self._instance = instance
        self._installation = installation
        self._intake = intake
        self._dispatcher = dispatcher
        self._committing = committing
        self._definitions = definitions
        self._sweeps = sweeps
        self._store = store
        self._recovery = recovery
        self._limits = limits
        self._windows = windows
        self._clock = clock
        self._housekeeping = housekeeping
        self._events = events
        self._bus = bus
        self._membership = Membership(link, instance)
        self._heard_since = time.monotonic()
        """Since when PostgreSQL and Redis are both there, as far as this replica knows."""
        self._freed: set[UUID] = set()
        self._waiting: frozenset[UUID] = frozenset()
        self._freed_signal = asyncio.Event()
        self._recovery_signal = asyncio.Event()
        self._refill_signal = asyncio.Event()
        windows.on_filling = self._refill_signal.set

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for name, pace_s, work in (
                ("membership", TICK_S, self._join),
                ("servers", TICK_S, self._look_at_servers),
                ("timers", TICK_S, self._fire_timers),
                # Each by itself: one that fails must not keep the others from their work.
                ("owed", SWEEP_S, self._publish_owed),
                ("overdue", SWEEP_S, self._look_after_overdue),
                ("children", SWEEP_S, self._mend_children),
                ("events", SWEEP_S, self._sweep_events),
                ("waiting", SWEEP_S, self._look_for_waiting),
                ("clock", CLOCK_S, self._synchronise),
                ("gauges", GAUGES_S, self._housekeeping.count),
                ("lengths", SWEEP_S, self._housekeeping.measure_streams),
                ("feeds", TRIM_S, self._housekeeping.trim_feeds),
                ("memory", TICK_S, self._housekeeping.relieve),
                ("tidy", TIDY_S, self._housekeeping.tidy),
                ("retention", TIDY_S, self._housekeeping.expire),
                ("replicas", TIDY_S, self._housekeeping.forget_replicas),
            ):
                group.create_task(_regularly(name, pace_s, work), name=name)
            group.create_task(self._admit_for_ever(), name="admission")
            group.create_task(self._recover_for_ever(), name="recovery")
            group.create_task(self._refill_for_ever(), name="refill")

    async def join(self) -> None:
        """Take part in sharing out partitions; called once before reading begins."""
        await self._join()

    async def leave(self) -> None:
        """Let the others take over at once."""
        try:
            await self._membership.leave()
        except REDIS_ERRORS:
            log.info("membership_expires_by_itself")

    def on_freed(self, organizations: set[UUID]) -> None:
        """An execution ended, or waits for admission: look whether another may begin."""
        self._freed |= organizations
        self._freed_signal.set()

    async def _join(self) -> None:
        members = await self._membership.renew()
        self._intake.read_partitions(assign(self._instance, members, self._installation.partitions))
        self._definitions.forget_latest()

    async def _look_at_servers(self) -> None:
        """Whether both are there, and Redis still holds what it was given."""
        try:
            async with asyncio.timeout(LOOK_S):
                # Asks PostgreSQL too, and an answer is all that is to be reported.
                await self._notice_losses()
                await say_database_is_reachable(self._link)
        except Exception:
            self._heard_since = time.monotonic()
            raise
        if self._committing.unpaid_deletions:
            await self._committing.delete_paid()

    async def _notice_losses(self) -> None:
        lost = await lost_streams(self._link, self._bus.last_ids)
        if lost:
            log.warning("streams_lost_entries", streams=lost[:5], count=len(lost))
            self._bus.last_ids.clear()
            self._recovery.suspects_loss = True
        if await self._recovery.is_needed():
            self._recovery_signal.set()

    async def _recover_for_ever(self) -> None:
        """Apart from noticing: while one loss is being dealt with, tasks must carry the generation of the next."""
        while True:
            await self._recovery_signal.wait()
            self._recovery_signal.clear()
            await asyncio.sleep(SETTLE_S)
            await _shielded("recovery", self._run_recovery)

    async def _run_recovery(self) -> None:
        await self._recovery.run()

    async def _fire_timers(self) -> None:
        if self._intake.partitions:
            self._dispatcher.feed(
                await self._sweeps.due_timers(self._intake.partitions, late_s=0.5)
            )

    async def _refill_for_ever(self) -> None:
        while True:
            await self._refill_signal.wait()
            while self._windows.backlogs or self._windows.is_busy:
                await _shielded("refill", self._sweeps.refill)
                await asyncio.sleep(REFILL_S)
            self._refill_signal.clear()

    async def _publish_owed(self) -> None:
        await self._sweeps.publish_owed()

    async def _look_after_overdue(self) -> None:
        # After an outage, of all orchestrators too, heartbeats and results are still waiting to be read.
        if time.monotonic() - self._heard_since > QUIET_S:
            self._dispatcher.feed(await self._sweeps.look_after_overdue())

    async def _mend_children(self) -> None:
        self._dispatcher.feed(await self._sweeps.mend_children())

    async def _sweep_events(self) -> None:
        await self._events.sweep()

    async def _look_for_waiting(self) -> None:
        self._windows.hold_back(await self._store.ready_queues())
        self._waiting = frozenset(await self._limits.waiting())
        if self._waiting:
            self.on_freed(set(self._waiting))

    async def _synchronise(self) -> None:
        await self._clock.synchronise(self._pool)

    async def _admit_for_ever(self) -> None:
        while True:
            await self._freed_signal.wait()
            self._freed_signal.clear()
            freed, self._freed = self._freed, set()
            for organization_id in freed:
                await _shielded("admission", lambda each=organization_id: self._admit(each))  # type: ignore[misc]

    async def _admit(self, organization_id: UUID) -> None:
        # Without a limit nobody waits, but for those who began to wait before the limit was lifted.
        if (
            await self._limits.limit_of(organization_id) == 0
            and organization_id not in self._waiting
        ):
            return
        admitted = await self._limits.admit(organization_id)
        self._dispatcher.feed(
            Delivery(ContinueExecution(organization_id=organization_id, execution_id=each))
            for each in admitted
        )


async def _regularly(name: str, pace_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await _shielded(name, work)
        await asyncio.sleep(pace_s)


async def _shielded(name: str, work: Callable[[], Awaitable[object]]) -> None:
    try:
        await work()
    except (StoreAway, asyncpg.PostgresError, asyncpg.InterfaceError, *REDIS_ERRORS) as error:
        log.warning("upkeep_postponed", work=name, error=str(error) or type(error).__name__)
        UPKEEP_FAILURES.labels(work=name).inc()
    except Exception:
        log.exception("upkeep_failed", work=name)
        UPKEEP_FAILURES.labels(work=name).inc()
