"""(e) Start-up time and memory of each service; (f) processor time of every process while nothing happens."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.audit import finished
from bench.machine import resident_mb
from bench.plan import Plan
from bench.report import Row
from bench.running import Running
from bench.throughput import prepare

SETTLE_S: Final = 20.0
"""After a load, before idling counts as idling."""

MEMORY_LOAD: Final = 1000
SERVERS: Final = ("postgresql", "valkey")


async def measure_start(_plan: Plan, system: Running) -> list[Row]:
    return [
        Row(part="e", what=f"start of {what}", value=seconds, unit="s")
        for what, seconds in sorted(system.start_seconds.items())
    ]


async def measure_memory(plan: Plan, system: Running) -> list[Row]:
    path = await prepare(system)
    await system.load(path, min(MEMORY_LOAD, plan.count), plan.clients)
    await finished(system)
    return [
        Row(
            part="e",
            what=f"memory of {name} after {MEMORY_LOAD:,} workflows",
            value=resident_mb(pid),
            unit="MB",
            reach=f"≤ {350 if name.startswith('knowledge') else 150}",
        )
        for name, pid in system.pids().items()
        if name not in SERVERS
    ]


async def measure_idle(plan: Plan, system: Running) -> list[Row]:
    await asyncio.sleep(SETTLE_S)
    before = system.sample()
    await asyncio.sleep(plan.idle_s)
    used = system.used_since(before)
    cores = {name: value for name, value in used.cores.items() if name != "driver"}
    rows = [
        Row(part="f", what=f"idle: {name}", value=value * 100, unit="% of a core")
        for name, value in cores.items()
    ]
    return [
        *rows,
        Row(
            part="f",
            what="idle: all together",
            value=sum(cores.values()) * 100,
            unit="% of a core",
            reach="< 2",
            noisy=used.is_noisy,
            detail=used.as_json(),
        ),
    ]
