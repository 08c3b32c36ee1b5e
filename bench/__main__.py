"""`python -m bench`: measure the whole system on the settings of `make run`. Exit 1 when anything got lost."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from bench import fanout, footprint, latency, report, scaling, throughput, tracing
from bench.audit import Missing
from bench.machine import describe
from bench.plan import PARTS, QUICK, Plan
from bench.report import Row
from bench.running import DATA, Running, running

_ON_ONE_SYSTEM: Final[tuple[tuple[str, Callable[[Plan, Running], Awaitable[list[Row]]]], ...]] = (
    ("e", footprint.measure_start),
    ("b", latency.measure),
    ("c", fanout.measure_forks),
    ("d", fanout.measure_loops),
    ("e", footprint.measure_memory),
    ("f", footprint.measure_idle),
    ("a", throughput.measure),
)
_ON_THEIR_OWN: Final[tuple[tuple[str, Callable[[Plan], Awaitable[list[Row]]]], ...]] = (
    ("a", throughput.measure_replicas),
    ("g", tracing.measure),
    ("h", scaling.measure),
)


def parse(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default=PARTS, metavar="LETTERS", help=f"some of {PARTS}")
    parser.add_argument("--count", type=int, help="workflows in one throughput run")
    parser.add_argument(
        "--runs", type=int, help="throughput runs, and pairs with and without tracing"
    )
    parser.add_argument("--quick", action="store_true", help="small: does everything work?")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"--only knows {PARTS}, not {''.join(sorted(unknown))}")
    plan = dataclasses.replace(QUICK if options.quick else Plan(), parts=options.only)
    if options.count:
        plan = dataclasses.replace(plan, count=options.count)
    if options.runs:
        plan = dataclasses.replace(plan, runs=options.runs, pairs=options.runs)
    return plan


async def measure(plan: Plan) -> tuple[dict[str, Any], list[Row]]:
    rows: list[Row] = []
    async with running("system") as system:
        machine = await describe(system.database)
        print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
        for part, measured in _ON_ONE_SYSTEM:
            if plan.has(part):
                rows += _shown(await measured(plan, system))
    for part, measured_alone in _ON_THEIR_OWN:
        if plan.has(part):
            rows += _shown(await measured_alone(plan))
    return machine, sorted(rows, key=lambda row: row.part)


def _shown(rows: list[Row]) -> list[Row]:
    print(report.show(rows), flush=True)
    return rows


def main() -> int:
    plan = parse(sys.argv[1:])
    try:
        machine, rows = asyncio.run(measure(plan))
    except Missing as missing:
        print(f"FAILED: {missing}", file=sys.stderr)
        return 1
    print()
    print(report.show(rows))
    # Committed results are those of whole runs.
    path = report.write("bench", machine, rows, DATA if plan.is_quick else report.RESULTS)
    print(f"\nEverything that was accepted is there. Written to {path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
