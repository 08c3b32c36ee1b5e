"""Keeping things small, and telling dashboards how large they are."""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog
from prometheus_client import Gauge
from redis.exceptions import ResponseError

from common import metrics
from common.streams import names
from common.streams.connection import Link
from orchestrator.storage.sweeps import PostgresSweeps
from orchestrator.sweeps import OWED_AGE_S
from orchestrator.windows import QueueWindows

log = structlog.get_logger()

ORPHAN_AGE_S = 60.0
ORPHANS_MAX = 100
MEMORY_SHARE_MAX = 0.7
"""Above this share of Redis's memory the events feed is cut first: it is a convenience, everything else is work."""

FEED_LENGTH_WHEN_FULL = 1_000


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
    ) -> None:
        self._store = store
        self._link = link
        self._windows = windows
        self._partitions = partitions
        self._events_retention_s = events_retention_s
        self._retention_days = retention_days

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

    async def measure_streams(self) -> None:
        """Lengths of the streams, which are what is outstanding in them."""
        streams = [
            name
            for partition in range(self._partitions)
            for name in (names.commands(partition), names.results(partition))
        ] + [names.tasks(queue) for queue in self._windows.queues]
        lengths = await self._link.pipeline([(b"XLEN", stream) for stream in streams])
        for stream, length in zip(streams, lengths, strict=True):
            if not isinstance(length, ResponseError):
                metrics.STREAM_LAG.labels(stream=stream).set(length)

    async def trim_feeds(self) -> None:
        """Cut the events feeds by age, and to the bone when Redis runs full."""
        feeds = [names.events(each) for each in await self._store.organizations()]
        if not feeds:
            return
        if await self._is_full():
            log.warning("events_feeds_cut", reason="Redis is short of memory", feeds=len(feeds))
            await self._trim(feeds, b"MAXLEN", FEED_LENGTH_WHEN_FULL)
        else:
            oldest_ms = int((time.time() - self._events_retention_s) * 1000)
            await self._trim(feeds, b"MINID", oldest_ms)

    async def tidy(self) -> None:
        """Forget what has expired, make room for the coming months."""
        await self._store.tidy()
        if self._retention_days > 0:
            dropped = await self._store.drop_expired(self._retention_days)
            if dropped:
                log.info("partitions_dropped", names=dropped)

    async def _trim(self, feeds: Sequence[str], strategy: bytes, threshold: int) -> None:
        await self._link.pipeline([(b"XTRIM", feed, strategy, b"~", threshold) for feed in feeds])

    async def _is_full(self) -> bool:
        info = await self._link.call(b"INFO", b"memory")
        fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
        limit = int(fields.get("maxmemory", "0"))
        return limit > 0 and int(fields["used_memory"]) > MEMORY_SHARE_MAX * limit


def _set_all(gauge: Gauge, label: str, values: dict[str, int]) -> None:
    """Set one series a value; those that are gone must not keep their last number."""
    gauge.clear()
    for value, count in values.items():
        gauge.labels(**{label: value}).set(count)
