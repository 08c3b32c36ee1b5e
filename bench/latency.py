"""(b) Latency of one workflow at a time: until the 202, and until the result."""

from __future__ import annotations

from typing import Any, Final

from bench.audit import Expected, Missing, audited, mark
from bench.plan import Plan
from bench.report import Row
from bench.running import Running
from bench.throughput import CALLS, prepare

PAUSE_MS: Final = 100
"""Between the 202 and the next request, so that one execution has ended before the next begins."""

_REACH: Final = {
    ("202", "p50_ms"): "≤ 8",
    ("result", "p50_ms"): "≤ 26",
    ("result", "p99_ms"): "≤ 55",
}


async def measure(plan: Plan, system: Running) -> list[Row]:
    path = await prepare(system)
    accepted = await _one_at_a_time(system, path, plan.singles, "--pause-ms", str(PAUSE_MS))
    results = await _one_at_a_time(system, f"{path}?wait=30", plan.singles)
    return [*_rows("202", accepted), *_rows("result", results)]


async def _one_at_a_time(system: Running, path: str, count: int, *options: str) -> dict[str, Any]:
    begin, before = await mark(system), system.sample()
    answers = await system.load(path, count, 1, *options)
    used = system.used_since(before)
    if answers["failures"]:
        raise Missing(f"requests failed: {answers['failures']}")
    await audited(system, begin, Expected(count, count * CALLS))
    return {**answers, **used.as_json()}


def _rows(what: str, answers: dict[str, Any]) -> list[Row]:
    return [
        Row(
            part="b",
            what=f"{what}, one at a time, {quantile.removesuffix('_ms')}",
            value=answers[quantile],
            unit="ms",
            reach=_REACH.get((what, quantile), ""),
            noisy=answers["noisy"],
            detail=answers,
        )
        for quantile in ("p50_ms", "p95_ms", "p99_ms")
    ]
