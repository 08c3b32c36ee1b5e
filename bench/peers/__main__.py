"""`python -m bench.peers`: three sequential no-op steps on ours, DBOS and Restate, in alternating runs."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final

from bench import report
from bench.audit import Missing
from bench.machine import describe
from bench.peers.dbos_engine import dbos
from bench.peers.engines import Engine, Ours, Result, ours
from bench.peers.installing import NotAvailable
from bench.peers.restate_engine import restate
from bench.report import Row
from bench.running import DATA

PEERS: Final[dict[str, Callable[[], AbstractAsyncContextManager[Engine]]]] = {
    "dbos": dbos,
    "restate": restate,
}
_AIM: Final = {"DBOS": "ours ≥ 10 ×", "Restate": "ours ≥ 1.5 ×"}


async def measure(options: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(ours())
        machine = await describe(mine.database)
        engines: list[Engine] = [mine]
        for name in options.peers.split(","):
            try:
                engines.append(await stack.enter_async_context(PEERS[name]()))
            except NotAvailable as reason:
                print(f"{name} is skipped: {reason}", file=sys.stderr, flush=True)
        rounds = [await _round(number, engines, options.count) for number in range(options.pairs)]
        rows = _throughput(engines, rounds)
        for engine in engines:
            rows += _latency(engine, await engine.latency(options.singles))
    return machine, rows


async def _round(number: int, engines: list[Engine], count: int) -> dict[str, Result]:
    """One run of each. Who goes first changes, so that nothing that drifts favours one of them."""
    turn = number % len(engines)
    results = {}
    for engine in engines[turn:] + engines[:turn]:
        results[engine.name] = await engine.throughput(max(50, int(count * engine.share)))
        noisy = " (noisy)" * results[engine.name].usage.is_noisy
        print(f"{number + 1}: {engine.name} {results[engine.name].rate:,.0f}/s{noisy}", flush=True)
    return results


def _throughput(engines: list[Engine], rounds: list[dict[str, Result]]) -> list[Row]:
    rows = []
    for engine in engines:
        results = [each[engine.name] for each in rounds]
        rates = [result.rate for result in results]
        noisy = any(result.usage.is_noisy for result in results)
        detail = {"version": engine.version, "runs": [result.as_json() for result in results]}
        rows.append(
            Row(
                part="a",
                what=f"{engine.name} (from {min(rates):,.0f} to {max(rates):,.0f})",
                value=statistics.median(rates),
                unit="workflows/s",
                noisy=noisy,
                detail=detail,
            )
        )
        if not isinstance(engine, Ours):
            # Within a round the machine was the same for both.
            ratios = [each[Ours.name].rate / each[engine.name].rate for each in rounds]
            rows.append(
                Row(
                    part="a",
                    what=f"  ours to {engine.name} (from {min(ratios):.1f} to {max(ratios):.1f})",
                    value=statistics.median(ratios),
                    unit="×",
                    reach=_AIM[engine.name],
                    noisy=noisy,
                )
            )
    return rows


def _latency(engine: Engine, answers: dict[str, Any]) -> list[Row]:
    return [
        Row(
            part="b",
            what=f"{engine.name}, result, one at a time, {quantile.removesuffix('_ms')}",
            value=answers[quantile],
            unit="ms",
        )
        for quantile in ("p50_ms", "p99_ms")
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="rounds of one run of each engine")
    parser.add_argument("--count", type=int, default=6000, help="workflows in one run of ours")
    parser.add_argument("--singles", type=int, default=200, help="workflows sent one at a time")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"some of {', '.join(PEERS)}")
    options = parser.parse_args()
    if unknown := set(options.peers.split(",")) - set(PEERS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(PEERS)}")
    try:
        machine, rows = asyncio.run(measure(options))
    except Missing as missing:
        print(f"FAILED: {missing}", file=sys.stderr)
        return 1
    print(report.show(rows))
    # Committed results rest on several rounds.
    folder = report.RESULTS if options.pairs >= 5 else DATA
    print(f"\nWritten to {report.write('peers', machine, rows, folder)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
