"""Wiring: the only module of the orchestrator that knows every adapter."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import structlog

from common.diagnosis import require_database, require_redis
from common.errors import ConfigurationError
from common.health import database_check, migrations_check, serve_health
from common.lifecycle import background, run_until_signalled, tune_garbage_collection
from common.postgres import create_pool, load_queries
from common.security.vault import Vault
from common.settings import OrchestratorSettings
from common.streams import names
from common.streams.connection import REDIS_ERRORS
from common.streams.consumer import ensure_groups
from orchestrator.administration import Administration
from orchestrator.assemble import Installation
from orchestrator.dispatcher import Dispatcher
from orchestrator.foundation import (
    Foundation,
    advance,
    committing,
    condemning,
    events,
    foundation,
    housekeeping,
    recovery,
    restoration,
    sweeps,
)
from orchestrator.generation import Generation
from orchestrator.intake import Intake, streams_of
from orchestrator.notes import Notes
from orchestrator.ports import StoreAway
from orchestrator.storage.administration import DeadLetters, PostgresAdministration, PostgresTasks
from orchestrator.storage.installation import (
    DatabaseClock,
)
from orchestrator.storage.secrets import PostgresSecrets
from orchestrator.suspects import Suspects
from orchestrator.sweeps import Sweeps
from orchestrator.upkeep import Upkeep
from orchestrator.watchdog import Watchdog

log = structlog.get_logger()


class Orchestrator:
    """One replica: everything connected, nothing running yet."""

    def __init__(self, base: Foundation) -> None:
        self.base = base
        self.pool = base.pool
        self.control = base.control
        self.committing = committing(base)
        self.events = events(base)
        self.dispatcher = Dispatcher(
            advance(base, self.committing, self.events),
            now_ms=base.clock.now_ms,
            set_aside=condemning(base).set_aside,
            suspects=Suspects(base.control),
            on_freed=self._on_freed,
        )
        swept = sweeps(base)
        self.recovery = recovery(base, swept)
        self.restoration = restoration(base, self.recovery)
        self.intake = Intake(
            link=base.reader,
            instance=base.instance,
            dispatcher=self.dispatcher,
            notes=Notes(PostgresTasks(base.pool), base.bus),
            administration=Administration(
                PostgresAdministration(base.pool), PostgresSecrets(base.pool), base.bus
            ),
            events=self.events,
            dead_letters=DeadLetters(base.pool),
            bus=base.bus,
            on_lost=self._on_lost,
        )
        self.upkeep = self._upkeep(swept)

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
            housekeeping=housekeeping(base),
            events=self.events,
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
        row["partitions"],
        settings.events_max_length,
        Generation(row["redis_generation"]),
        Vault.of(settings),
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
        service = Orchestrator(foundation(settings, pool, installation, clock))
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
