"""What the parts of a replica stand on, and how the larger parts are put together from it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import asyncpg

from common.evaluation import EvaluationPool
from common.serving.failpoints import failpoint
from common.settings import OrchestratorSettings
from common.streams.connection import Link
from common.streams.publisher import Publisher
from orchestrator.accepting import Accepting
from orchestrator.advance import Advance
from orchestrator.assemble import Installation
from orchestrator.bus import RedisBus
from orchestrator.children import Children
from orchestrator.committing import Committing
from orchestrator.condemning import Condemning
from orchestrator.deciding import Deciding
from orchestrator.definitions import Definitions
from orchestrator.evaluating import GuardedEvaluator
from orchestrator.events import Events
from orchestrator.housekeeping import Housekeeping
from orchestrator.live import LiveExecutions
from orchestrator.recovery import Recovery
from orchestrator.redis_view import RedisGeneration, RedisQueues
from orchestrator.restored import Restoration
from orchestrator.secrets import OpenSecrets
from orchestrator.storage.events import PostgresEvents
from orchestrator.storage.executions import PostgresStore
from orchestrator.storage.installation import (
    DatabaseClock,
    InstalledFunctions,
    PostgresDefinitions,
    PostgresLimits,
)
from orchestrator.storage.restored import PostgresKnowledgeOfMessages
from orchestrator.storage.secrets import PostgresSecrets
from orchestrator.storage.sweeps import PostgresSweeps
from orchestrator.sweeps import Sweeps
from orchestrator.windows import QueueWindows
from workflow.core.turn import Limits

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


def foundation(
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


def advance(base: Foundation, committing: Committing, events: Events) -> Advance:
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
            secrets=OpenSecrets(PostgresSecrets(base.pool), base.installation.vault),
        ),
        committing=committing,
        events=events,
        failpoint=failpoint(base.settings.kwe_failpoint, FAILPOINTS),
    )


def events(base: Foundation) -> Events:
    return Events(store=PostgresEvents(base.pool), bus=base.bus, installation=base.installation)


def condemning(base: Foundation) -> Condemning:
    return Condemning(
        store=base.store,
        live=base.live,
        bus=base.bus,
        clock=base.clock,
        installation=base.installation,
    )


def housekeeping(base: Foundation) -> Housekeeping:
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


def committing(base: Foundation) -> Committing:
    return Committing(
        store=base.store,
        clock=base.clock,
        windows=base.windows,
        children=Children(ancestry=base.store, definitions=base.definitions, limits=base.limits),
        installation=base.installation,
    )


def sweeps(base: Foundation) -> Sweeps:
    return Sweeps(
        store=base.sweep_store,
        bus=base.bus,
        queues=RedisQueues(base.control),
        windows=base.windows,
        installation=base.installation,
    )


def recovery(base: Foundation, sweeps: Sweeps) -> Recovery:
    return Recovery(
        store=base.sweep_store,
        key=RedisGeneration(base.control),
        bus=base.bus,
        sweeps=sweeps,
        generation=base.installation.generation,
    )


def restoration(base: Foundation, recovery: Recovery) -> Restoration:
    return Restoration(
        link=base.control,
        known=PostgresKnowledgeOfMessages(base.pool),
        mark=base.sweep_store,
        republishing=recovery,
        generation=base.installation.generation,
        partitions=base.installation.partitions,
    )
