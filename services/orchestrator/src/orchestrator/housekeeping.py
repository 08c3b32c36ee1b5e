"""Keeping things small, and telling dashboards how large they are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import structlog
from prometheus_client import Gauge
from redis.exceptions import ResponseError

from common import metrics
from common.bounded_labels import largest
from common.streams import names
from common.streams.connection import Link
from common.streams.departed import FORGET_AFTER_MS, forget_departed
from orchestrator.redis_view import waiting_seconds
from orchestrator.storage.sweeps import PostgresSweeps
from orchestrator.sweeps import OWED_AGE_S
from orchestrator.windows import QueueWindows

log = structlog.get_logger()

ORPHAN_AGE_S = 60.0
ORPHANS_MAX = 100
MEMORY_SHARE_MAX = 0.6
"""Above this share of Redis's memory the events feeds are cut: they are a convenience, everything else is work. Well before
gateways refuse starts: a loop without a pause writes tens of megabytes of events a second."""

FEEDS_SHARE = 0.2
"""Of Redis's memory, what the feeds may keep of it then."""

CUTS_MAX = 8

CALM_ROUNDS = 4
"""Looks at the memory that are left out while half of it is free."""

DROPS_MAX = 12
PORTION = 500
EVENTS_PORTION = 5_000
EVENTS_DAYS_MAX = 30
"""Events that an unfinished execution might still listen for are kept so long at most."""

PORTIONS_MAX = 20
"""What one round of retention does at most; the next one goes on."""


class Housekeeping:
    def __init__(
        self,
        *,
        store: PostgresSweeps,
        link: Link,
        windows: QueueWindows,
        partitions: int,
        events_retention_s: float,
        retention_days: int,
        forget_after_ms: int = FORGET_AFTER_MS,
    ) -> None:
        self._store = store
        self._link = link
        self._windows = windows
        self._calm_rounds = 0
        self._partitions = partitions
        self._events_retention_s = events_retention_s
        self._retention_days = retention_days
        self._forget_after_ms = forget_after_ms

    async def count(self) -> None:
        """Set the gauges. An execution without a live reason is a bug, so its id goes to the log."""
        orphans = await self._store.orphans(ORPHAN_AGE_S, ORPHANS_MAX)
        metrics.ORPHANS.set(len(orphans))
        if orphans:
            log.error("executions_without_live_reason", ids=[str(each) for each in orphans[:10]])
        metrics.PUBLICATIONS_OWED.set(await self._store.owed_count(OWED_AGE_S))
        metrics.EXECUTIONS_UNFINISHED.set(await self._store.unfinished_count())
        _set_all(metrics.WAITS, "kind", await self._store.waits_by_kind())
        _set_all(metrics.TASKS_READY, "queue", await self._store.ready_queues())
        connections, connections_max = await self._store.connections()
        metrics.DATABASE_CONNECTIONS.set(connections)
        metrics.DATABASE_CONNECTIONS_MAX.set(connections_max)
        metrics.BACKUP_AT.set(await self._store.backed_up_at())
        metrics.COUNTED.set_to_current_time()

    async def measure_streams(self) -> None:
        """Lengths of the streams, which are what is outstanding in them, and how long they wait to be read."""
        streams = self._own_streams() + [names.tasks(queue) for queue in self._windows.queues]
        replies = await self._link.pipeline([(b"XLEN", stream) for stream in streams])
        lengths = {
            stream: length
            for stream, length in zip(streams, replies, strict=True)
            if not isinstance(length, ResponseError)
        }
        waiting = await waiting_seconds(self._link, [each for each in streams if lengths.get(each)])
        _set_all(metrics.STREAM_LAG, "stream", lengths)
        _set_all(metrics.STREAM_WAITING_SECONDS, "stream", dict.fromkeys(lengths, 0.0) | waiting)

    async def trim_feeds(self) -> None:
        """Cut the events feeds by age."""
        oldest_ms = int((time.time() - self._events_retention_s) * 1000)
        feeds = await self._feeds()
        if feeds:
            await self._link.pipeline(
                [(b"XTRIM", each, b"MINID", b"~", oldest_ms) for each in feeds]
            )

    async def relieve(self) -> None:
        """Cut the largest feeds when Redis runs full. With half of it free, that is asked for less often."""
        if self._calm_rounds > 0:
            self._calm_rounds -= 1
            return
        used, limit = await self._memory()
        self._calm_rounds = CALM_ROUNDS if 2 * used < limit or limit == 0 else 0
        metrics.REDIS_MEMORY.set(used)
        metrics.REDIS_MEMORY_MAX.set(limit)
        if limit == 0 or used <= MEMORY_SHARE_MAX * limit:
            return
        # Entries differ in size, and the newest ones are kept: cutting their number may take some rounds.
        for _ in range(CUTS_MAX):
            if not await self._cut(FEEDS_SHARE * limit):
                return

    async def _cut(self, room: float) -> bool:
        """Cut the feeds that are larger than their share of `room`; whether there are any."""
        sizes = await self._sizes()
        share = fair_share(sizes.values(), room)
        large = {feed: size for feed, size in sizes.items() if size > share}
        if not large:
            return False
        log.warning("events_feeds_cut", reason="Redis is short of memory", feeds=len(large))
        lengths = await self._link.pipeline([(b"XLEN", feed) for feed in large])
        await self._link.pipeline(
            [
                (b"XTRIM", feed, b"MAXLEN", int(length * share / size))
                for (feed, size), length in zip(large.items(), lengths, strict=True)
                if not isinstance(length, ResponseError)
            ]
        )
        return True

    async def tidy(self) -> None:
        """Forget what has expired, make room for the coming months."""
        metrics.DATABASE_BYTES.set(await self._store.database_bytes())
        await self._store.tidy()
        for _ in range(PORTIONS_MAX):
            forgotten = await self._store.forget_events(
                self._events_retention_s, EVENTS_DAYS_MAX, EVENTS_PORTION
            )
            if forgotten < EVENTS_PORTION:
                break

    async def expire(self) -> None:
        """Let go of what ended longer ago than it is to be kept, a table or a bounded portion at a time."""
        days = self._retention_days
        if days == 0:
            return
        await self._store.settle_months(days)
        for _ in range(DROPS_MAX):
            name = await self._store.drop_expired_table(days)
            if name is None:
                break
            log.info("partition_dropped", table=name)
        for _ in range(PORTIONS_MAX):
            if await self._store.delete_expired(days, PORTION) == 0:
                break

    async def forget_replicas(self) -> None:
        """Remove replicas that are long gone from the groups that read this installation's streams."""
        forgotten = await forget_departed(
            self._link,
            self._own_streams(),
            names.ORCHESTRATOR_GROUP,
            idle_ms=self._forget_after_ms,
        )
        if forgotten:
            log.info("consumers_forgotten", count=forgotten)

    def _own_streams(self) -> list[str]:
        return [
            name
            for partition in range(self._partitions)
            for name in (names.commands(partition), names.results(partition))
        ]

    async def _feeds(self) -> list[str]:
        return [names.events(each) for each in await self._store.organizations()]

    async def _sizes(self) -> dict[str, int]:
        """How many bytes each feed takes. Every entry is looked at: one turn's is a hundred times as large as another's."""
        feeds = await self._feeds()
        if not feeds:
            return {}
        sizes = await self._link.pipeline(
            [(b"MEMORY", b"USAGE", feed, b"SAMPLES", 0) for feed in feeds]
        )
        return {
            feed: size for feed, size in zip(feeds, sizes, strict=True) if isinstance(size, int)
        }

    async def _memory(self) -> tuple[int, int]:
        """Bytes that Redis uses, and may use; the latter 0 without a limit."""
        info = await self._link.call(b"INFO", b"memory")
        fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        return int(fields["used_memory"]), int(fields.get("maxmemory", "0"))


def fair_share(sizes: Iterable[int], room: float) -> float:
    """How much each may keep so that all together fit: what small ones leave is for the others."""
    ordered = sorted(sizes)
    for position, size in enumerate(ordered):
        share = room / (len(ordered) - position)
        if size > share:
            return share
        room -= size
    return float("inf")


def _set_all(gauge: Gauge, label: str, values: Mapping[str, float]) -> None:
    """Set one series a value; those that are gone must not keep their last number."""
    gauge.clear()
    for value, count in largest(values).items():
        gauge.labels(**{label: value}).set(count)
