"""(c) One execution that forks into many no-op tasks; (d) one that loops over many. Both should be linear."""

from __future__ import annotations

import json
import statistics
from typing import Any, Final

from bench import definitions
from bench.audit import Expected, Missing, audited, mark
from bench.plan import Plan
from bench.report import Row
from bench.running import Running

_REACH: Final = {100: "≤ 100", 1000: "≤ 800"}


async def measure_forks(plan: Plan, system: Running) -> list[Row]:
    rows = []
    for size in plan.forks:
        path = await system.register(definitions.fork(size))
        await system.load(f"{path}?wait=60", 1, 1)  # The first one compiles the definition.
        took = await _timed(system, path, size, plan.repeats, {"n": 1})
        rows.append(_row("c", f"fork of {size:,} branches", size, took))
    return rows


async def measure_loops(plan: Plan, system: Running) -> list[Row]:
    rows = []
    path = await system.register(definitions.loop())
    await system.load(f"{path}?wait=60", 1, 1, "--body", '{"input":{"items":[1]}}')
    for size in plan.loops:
        took = await _timed(system, path, size, plan.loop_repeats, {"items": list(range(size))})
        rows.append(_row("d", f"loop of {size:,} turns", size, took))
    return rows


async def _timed(
    system: Running, path: str, size: int, repeats: int, input: dict[str, Any]
) -> dict[str, Any]:
    """Submit → result in ms, one after the other."""
    path = f"{path}?wait=60"
    body = json.dumps({"input": input})
    begin, before = await mark(system), system.sample()
    rounds = [await system.load(path, 1, 1, "--body", body) for _ in range(repeats)]
    used = system.used_since(before)
    if failures := [each["failures"] for each in rounds if each["failures"]]:
        raise Missing(f"requests failed: {failures}")
    counted = await audited(system, begin, Expected(repeats, repeats * size))
    took = [each["max_ms"] for each in rounds]
    return {"took_ms": took, "turns": counted.turns, **used.as_json()}


def _row(part: str, what: str, size: int, took: dict[str, Any]) -> Row:
    middle = statistics.median(took["took_ms"])
    detail = {**took, "ms_each": round(middle / size, 3)}
    reach = _REACH.get(size, "") if part == "c" else "linear"
    what = f"{what} ({middle / size:.2f} ms each)"
    return Row(
        part=part,
        what=what,
        value=middle,
        unit="ms",
        reach=reach,
        noisy=took["noisy"],
        detail=detail,
    )
