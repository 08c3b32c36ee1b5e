"""(h) The same work with 1, 2 and 4 replicas, which join and leave the same running system.

Executors wait for others most of the time, so their number decides how much is done; on one machine more orchestrators only
share its cores. Each run is audited: nothing lost, nothing applied twice.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from bench import definitions
from bench.plan import Plan
from bench.report import Row
from bench.running import Running, running
from bench.throughput import Run, run_once

REPLICAS: Final = (1, 2, 4)
SLOTS: Final = 16
"""Of each executor: with tasks of `definitions.PAUSE_S`, one does SLOTS / PAUSE_S of them a second."""


async def measure(plan: Plan) -> list[Row]:
    async with running("scaling", variables={"EXECUTOR_SLOTS": str(SLOTS)}) as system:
        waiting = await system.register(definitions.waiting())
        busy = await system.register(definitions.three())
        for path in (waiting, busy):
            await system.load(f"{path}?wait=60", 20, 4)
        rows = await _scaled(system, "executor", waiting, plan, calls=1)
        rows += await _scaled(system, "orchestrator", busy, plan, calls=3)
    return rows


async def _scaled(system: Running, service: str, path: str, plan: Plan, *, calls: int) -> list[Row]:
    found: list[list[Run]] = []
    for replicas in REPLICAS:
        await system.stack.scale(service, replicas)
        count = plan.scaling_count * (replicas if service == "executor" else 3)
        found.append(
            [
                await run_once(system, path, count, plan.clients, calls=calls)
                for _ in range(plan.scaling_runs)
            ]
        )
    await system.stack.scale(service, 1)
    return [
        _row(service, replicas, runs, first=found[0])
        for replicas, runs in zip(REPLICAS, found, strict=True)
    ]


def _row(service: str, replicas: int, runs: Sequence[Run], *, first: Sequence[Run]) -> Row:
    rate = statistics.median(run.rate for run in runs)
    times = rate / statistics.median(run.rate for run in first)
    return Row(
        part="h",
        what=f"{replicas} {service}{'s' if replicas > 1 else ''} ({times:.2f} times one)",
        value=rate,
        unit="workflows/s",
        reach=f"{replicas} times" if service == "executor" and replicas > 1 else "",
        noisy=all(run.usage.is_noisy for run in runs),
        detail={"runs": [run.as_json() for run in runs]},
    )
