"""Wiring: the only module of the orchestrator that knows every adapter."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog

from common.diagnosis import require_database, require_redis
from common.errors import ConfigurationError
from common.evaluation import EvaluationPool
from common.health import database_check, migrations_check, serve_health
from common.lifecycle import background, run_until_signalled, tune_garbage_collection
from common.postgres import create_pool, load_queries
from common.serving.failpoints import failpoint
from common.settings import OrchestratorSettings
from common.streams import names
from common.streams.connection import REDIS_ERRORS, Link
from common.streams.consumer import ensure_groups
from common.streams.publisher import Publisher
from orchestrator.accepting import Accepting
from orchestrator.administration import Administration
from orchestrator.advance import Advance
from orchestrator.assemble import Installation
from orchestrator.bus import RedisBus
from orchestrator.children import Children
from orchestrator.committing import Committing
from orchestrator.condemning import Condemning
from orchestrator.deciding import Deciding
from orchestrator.definitions import Definitions
from orchestrator.dispatcher import Dispatcher
from orchestrator.evaluating import GuardedEvaluator
from orchestrator.generation import Generation
from orchestrator.housekeeping import Housekeeping
from orchestrator.intake import Intake, streams_of
from orchestrator.live import LiveExecutions
from orchestrator.notes import Notes
from orchestrator.ports import StoreAway
from orchestrator.recovery import Recovery
from orchestrator.redis_view import RedisGeneration, RedisQueues
from orchestrator.restored import Restoration
from orchestrator.storage.administration import DeadLetters, PostgresAdministration, PostgresTasks
from orchestrator.storage.executions import PostgresStore
from orchestrator.storage.installation import (
    DatabaseClock,
    InstalledFunctions,
    PostgresDefinitions,
    PostgresLimits,
)
from orchestrator.storage.restored import PostgresKnowledgeOfMessages
from orchestrator.storage.sweeps import PostgresSweeps
from orchestrator.suspects import Suspects
from orchestrator.sweeps import Sweeps
from orchestrator.upkeep import Upkeep
from orchestrator.watchdog import Watchdog
from orchestrator.windows import QueueWindows
from workflow.core.turn import Limits

log = structlog.get_logger()

FAILPOINTS = (
    "orchestrator-before-commit",
    "orchestrator-after-commit",
    "orchestrator-after-publish",
)


def instance_name() -> str:
    """Stable over restarts where the platform gives a name: a restarted replica finds its own pending entries first."""
    return os.environ.get("INSTANCE") or f"{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True, slots=True)
class Foundation:
    """What several parts of a replica stand on."""

    settings: OrchestratorSettings
    pool: asyncpg.Pool[asyncpg.Record]
    installation: Installation
    clock: DatabaseClock
    instance: str
    reader: Link
    control: Link
    bus: RedisBus
    evaluation: EvaluationPool
    definitions: Definitions
    store: PostgresStore
    sweep_store: PostgresSweeps
    limits: PostgresLimits
    windows: QueueWindows
    live: LiveExecutions
    links: tuple[Link, ...]


def _foundation(
    settings: OrchestratorSettings,
    pool: asyncpg.Pool[asyncpg.Record],
    installation: Installation,
    clock: DatabaseClock,
) -> Foundation:
    instance = instance_name()
    writer, reader, control = (
        Link(settings.redis_dsn, timeout_s=timeout_s, name=instance)
        for timeout_s in (5.0, 10.0, 5.0)
    )
    store = PostgresStore(pool)
    definitions = Definitions(PostgresDefinitions(pool, InstalledFunctions()))
    cancel_mark_ms = int(settings.task_lease.total_seconds() * 4000)
    return Foundation(
        settings=settings,
        pool=pool,
        installation=installation,
        clock=clock,
        instance=instance,
        reader=reader,
        control=control,
        bus=RedisBus(Publisher(writer), cancel_mark_ms=cancel_mark_ms),
        evaluation=EvaluationPool(),
        definitions=definitions,
        store=store,
        sweep_store=PostgresSweeps(pool),
        limits=PostgresLimits(pool, default=settings.max_concurrent_executions),
        windows=QueueWindows(settings.queue_window),
        live=LiveExecutions(store, definitions),
        links=(writer, reader, control),
    )


class Orchestrator:
    """One replica: everything connected, nothing running yet."""

    def __init__(self, base: Foundation) -> None:
        self.base = base
        self.pool = base.pool
        self.control = base.control
        self.committing = Committing(
            store=base.store,
            clock=base.clock,
            windows=base.windows,
            children=Children(
                ancestry=base.store, definitions=base.definitions, limits=base.limits
            ),
            installation=base.installation,
        )
        dead_letters = DeadLetters(base.pool)
        self.dispatcher = Dispatcher(
            _advance(base, self.committing),
            now_ms=base.clock.now_ms,
            set_aside=_condemning(base).set_aside,
            suspects=Suspects(base.control),
            on_freed=self._on_freed,
        )
        sweeps = Sweeps(
            store=base.sweep_store,
            bus=base.bus,
            queues=RedisQueues(base.control),
            windows=base.windows,
            installation=base.installation,
        )
        self.recovery = Recovery(
            store=base.sweep_store,
            key=RedisGeneration(base.control),
            bus=base.bus,
            sweeps=sweeps,
            generation=base.installation.generation,
        )
        self.restoration = Restoration(
            link=base.control,
            known=PostgresKnowledgeOfMessages(base.pool),
            mark=base.sweep_store,
            republishing=self.recovery,
            generation=base.installation.generation,
            partitions=base.installation.partitions,
        )
        self.intake = Intake(
            link=base.reader,
            instance=base.instance,
            dispatcher=self.dispatcher,
            notes=Notes(PostgresTasks(base.pool), base.bus),
            administration=Administration(PostgresAdministration(base.pool), base.bus),
            dead_letters=dead_letters,
            bus=base.bus,
            on_lost=self._on_lost,
        )
        self.upkeep = self._upkeep(sweeps)

    def _upkeep(self, sweeps: Sweeps) -> Upkeep:
        base = self.base
        return Upkeep(
            pool=base.pool,
            link=base.control,
            instance=base.instance,
            installation=base.installation,
            intake=self.intake,
            dispatcher=self.dispatcher,
            committing=self.committing,
            definitions=base.definitions,
            sweeps=sweeps,
            store=base.sweep_store,
            recovery=self.recovery,
            limits=base.limits,
            windows=base.windows,
            clock=base.clock,
            housekeeping=_housekeeping(base),
            bus=base.bus,
        )

    def _on_freed(self, organizations: set[UUID]) -> None:
        self.upkeep.on_freed(organizations)

    async def _on_lost(self) -> None:
        """A group had to be made: on an installation that ran before, its stream was lost."""
        self.recovery.suspects_loss = True

    async def make_groups(self) -> None:
        partitions = range(self.base.installation.partitions)
        await ensure_groups(self.control, streams_of(partitions), names.ORCHESTRATOR_GROUP)

    async def settle(self) -> None:
        """Delete what is left of paid publications, so that no other replica publishes them once more."""
        try:
            await self.committing.delete_paid()
        except StoreAway as error:
            log.info("publications_left_to_be_swept", error=str(error))

    async def close(self) -> None:
        await self.base.evaluation.stop()
        for link in self.base.links:
            await link.close()


def _advance(base: Foundation, committing: Committing) -> Advance:
    return Advance(
        store=base.store,
        bus=base.bus,
        live=base.live,
        accepting=Accepting(
            store=base.store, clock=base.clock, definitions=base.definitions, limits=base.limits
        ),
        deciding=Deciding(
            store=base.store,
            evaluator=GuardedEvaluator(base.evaluation),
            clock=base.clock,
            limits=_limits(base.settings),
        ),
        committing=committing,
        failpoint=failpoint(base.settings.kwe_failpoint, FAILPOINTS),
    )


def _condemning(base: Foundation) -> Condemning:
    return Condemning(
        store=base.store,
        live=base.live,
        bus=base.bus,
        clock=base.clock,
        installation=base.installation,
    )


def _housekeeping(base: Foundation) -> Housekeeping:
    return Housekeeping(
        store=base.sweep_store,
        link=base.control,
        windows=base.windows,
        partitions=base.installation.partitions,
        events_retention_s=base.settings.events_retention.total_seconds(),
        retention_days=base.settings.retention_days,
    )


def _limits(settings: OrchestratorSettings) -> Limits:
    return Limits(
        retry_attempts_max=settings.max_retry_attempts or None,
        duration_ms_max=settings.max_workflow_duration_ms or None,
    )


async def _installation(
    pool: asyncpg.Pool[asyncpg.Record], settings: OrchestratorSettings
) -> Installation:
    queries = load_queries("orchestrator.storage.sql", "installation.sql")
    try:
        row = await pool.fetchrow(queries["installation"])
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError) as error:
        raise ConfigurationError("The database has no tables yet: run `kwe migrate`.") from error
    assert row is not None
    return Installation(
        row["partitions"], settings.events_max_length, Generation(row["redis_generation"])
    )


@asynccontextmanager
async def orchestrator(settings: OrchestratorSettings) -> AsyncGenerator[Orchestrator]:
    """A running replica. Leaving the block drains it: no new work, batches under way are stored and published."""
    pool = await create_pool(settings, application_name="kwe-orchestrator", keeps_session=True)
    try:
        await require_database(pool, migrations=["orchestrator.migrations"])
        clock = DatabaseClock()
        await clock.synchronise(pool)
        installation = await _installation(pool, settings)
        service = Orchestrator(_foundation(settings, pool, installation, clock))
        try:
            await _join(service)
            async with service.dispatcher.running(), background(service.upkeep.run()):
                async with background(service.intake.run()):
                    tune_garbage_collection()
                    yield service
                await service.upkeep.leave()
            await service.settle()
        finally:
            await service.close()
    finally:
        await pool.close()


async def _join(service: Orchestrator) -> None:
    try:
        await require_redis(service.control)
        await service.restoration.complete()
        await service.recovery.begin(service.make_groups)
        await service.upkeep.join()
    except REDIS_ERRORS as error:
        raise ConfigurationError(f"Redis cannot be reached at REDIS_URL: {error}") from error


async def run(settings: OrchestratorSettings) -> None:
    pool = await create_pool(
        settings, application_name="kwe-orchestrator-health", min_size=1, max_size=1
    )
    checks = {"database": database_check(pool), "migrations": migrations_check(pool)}
    # The process's own: it ends the whole process, which is for `run` to decide and not for `orchestrator`.
    async with Watchdog().watching(), serve_health("orchestrator", settings, checks) as health:
        await run_until_signalled(
            orchestrator(settings),
            grace_seconds=settings.shutdown_grace.total_seconds(),
            on_draining=health.start_draining,
        )
    await pool.close()
