"""(g) What tracing costs at its default sampling: two systems side by side, one exporting, in alternating runs."""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp

from bench.plan import Plan
from bench.report import Row
from bench.running import ROOT, running
from bench.throughput import Run, prepare, run_once


async def measure(plan: Plan) -> list[Row]:
    async with _collector() as endpoint:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
        async with running("untraced") as off, running("traced", variables=traced) as on:
            path = await prepare(off)
            assert path == await prepare(on)
            pairs = []
            for number in range(plan.pairs):
                # Whoever goes first changes, so that nothing that drifts favours one of them.
                order = (off, on) if number % 2 == 0 else (on, off)
                first, second = [
                    await run_once(each, path, plan.count, plan.clients) for each in order
                ]
                pairs.append((first, second) if order[0] is off else (second, first))
        received = await _received(endpoint)
    return _rows(pairs, received)


def _rows(pairs: list[tuple[Run, Run]], received: int) -> list[Row]:
    costs = [(1 - on.rate / off.rate) * 100 for off, on in pairs]
    noisy = any(run.usage.is_noisy for pair in pairs for run in pair)
    detail = {
        "pairs": [{"off": off.as_json(), "on": on.as_json()} for off, on in pairs],
        "cost_percent": [round(cost, 1) for cost in costs],
        "exports_received": received,
    }
    return [
        Row(
            part="g",
            what=f"tracing at its default sampling, median of {len(pairs)} pairs",
            value=statistics.median(costs),
            unit="% of throughput",
            reach="< 10",
            noisy=noisy,
            detail=detail,
        ),
        Row(
            part="g",
            what="  the same in processor time of one workflow, which a busy machine blurs less",
            value=statistics.median(_added_percent(off, on) for off, on in pairs),
            unit="%",
            noisy=noisy,
        ),
    ]


def _added_percent(off: Run, on: Run) -> float:
    before, after = (
        sum(run.usage.per_unit_ms(run.counted.executions).values()) for run in (off, on)
    )
    return (after / before - 1) * 100


@asynccontextmanager
async def _collector() -> AsyncGenerator[str]:
    """A process that takes OTLP over HTTP and throws it away; its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.collector", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


async def _received(endpoint: str) -> int:
    async with aiohttp.ClientSession() as http, http.get(f"{endpoint}/received") as response:
        return int(await response.text())
