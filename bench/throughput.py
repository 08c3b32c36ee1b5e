"""(a) Workflows a second: three no-op tasks each, submitted over HTTP by another process in a closed loop."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Final

from bench import definitions
from bench.audit import Counted, Expected, Missing, audited, finished, mark
from bench.machine import Usage
from bench.plan import Plan
from bench.report import Row
from bench.running import Running, running

CALLS: Final = 3
WARM_UP: Final = 300


@dataclass(frozen=True, slots=True)
class Run:
    """One throughput run, everything in it accounted for."""

    rate: float
    """Workflows a second, from the first request to the commit that finished the last one."""

    answers: dict[str, Any]
    usage: Usage
    counted: Counted

    def as_json(self) -> dict[str, Any]:
        return {
            "rate": round(self.rate, 1),
            "accepted": {name: self.answers[name] for name in ("p50_ms", "p95_ms", "p99_ms")},
            "cpu_ms_per_workflow": self.usage.per_unit_ms(self.counted.executions),
            "turns": self.counted.turns,
            "history_events": self.counted.history_events,
            "public_events": self.counted.public_events,
            **self.usage.as_json(),
        }


async def prepare(system: Running) -> str:
    """Register the workflow and warm everything up; the path to start it at."""
    path = await system.register(definitions.three())
    await system.load(path, WARM_UP, 16)
    await finished(system)
    return path


async def run_once(
    system: Running, path: str, count: int, clients: int, *, calls: int = CALLS
) -> Run:
    begin, before = await mark(system), system.sample()
    answers = await system.load(path, count, clients)
    await finished(system)
    used = system.used_since(before)
    if answers["failures"]:
        raise Missing(f"requests failed: {answers['failures']}")
    counted = await audited(system, begin, Expected(count, count * calls))
    seconds = counted.finished_at.timestamp() - answers["began"]
    print(f"{count:,} in {seconds:.1f} s; others used {used.others:.2f} cores", flush=True)
    return Run(count / seconds, answers, used, counted)


async def measure(plan: Plan, system: Running) -> list[Row]:
    path = await prepare(system)
    runs = [await run_once(system, path, plan.count, plan.clients) for _ in range(plan.runs)]
    return _rows(runs, "1 orchestrator", "≥ 900")


async def measure_replicas(plan: Plan) -> list[Row]:
    """The same with two orchestrators, which on two cores shows what sharing costs rather than what it gains."""
    async with running("replicas", replicas={"orchestrator": 2}) as system:
        path = await prepare(system)
        runs = [await run_once(system, path, plan.count, plan.clients) for _ in range(plan.runs)]
    return _rows(runs, "2 orchestrators", "")


def _rows(runs: list[Run], replicas: str, reach: str) -> list[Row]:
    chosen = [run for run in runs if not run.usage.is_noisy] or runs
    noisy = all(run.usage.is_noisy for run in runs)
    rates = [run.rate for run in chosen]
    detail = {"runs": [run.as_json() for run in runs], "spread": [min(rates), max(rates)]}
    rows = [
        Row(
            part="a",
            what=f"throughput, {replicas}",
            value=statistics.median(rates),
            unit="workflows/s",
            reach=reach,
            noisy=noisy,
            detail=detail,
        )
    ]
    middle = sorted(chosen, key=lambda run: run.rate)[len(chosen) // 2]
    for name, each in middle.usage.per_unit_ms(middle.counted.executions).items():
        what = f"  processor time of {name}"
        rows.append(Row(part="a", what=what, value=each, unit="ms/workflow", noisy=noisy))
    return rows
