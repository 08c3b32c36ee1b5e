"""The load generator, a process of its own: `python -m bench.load URL PATH COUNT CLIENTS [--pause-ms MS]`.

A closed loop: each client sends its next request when it has the answer to the last one. The API key comes in
KWE_API_KEY. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import orjson
import uvloop

from bench.http_client import HttpConnection


@dataclass
class Answers:
    """What the server said, and how long that took."""

    pause_s: float
    body: bytes
    """Of every request; empty for a number of its own in each."""

    latencies_ms: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)


async def client(connection: HttpConnection, tickets: list[int], answers: Answers) -> None:
    while tickets:
        number = tickets.pop()
        body = answers.body or b'{"input":{"n":%d}}' % number
        began = time.perf_counter()
        status, _ = await connection.post(body)
        took_ms = (time.perf_counter() - began) * 1000
        if status in (200, 202):
            answers.latencies_ms.append(took_ms)
        else:
            answers.failures[str(status)] = answers.failures.get(str(status), 0) + 1
        if answers.pause_s:
            await asyncio.sleep(answers.pause_s)


async def load(options: argparse.Namespace) -> dict[str, Any]:
    answers = Answers(options.pause_ms / 1000, options.body.encode())
    key = os.environ.get("KWE_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"{options.url}{options.path}"
    connections = [await HttpConnection.open(url, headers) for _ in range(options.clients)]
    tickets = list(range(options.count))
    began = time.time()
    await asyncio.gather(*[client(each, tickets, answers) for each in connections])
    ended = time.time()
    for each in connections:
        each.close()
    return {
        "began": began,
        "ended": ended,
        "failures": answers.failures,
        **quantiles(answers.latencies_ms),
    }


def quantiles(latencies_ms: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile, in milliseconds."""
    if not latencies_ms:
        return {"count": 0}
    several = latencies_ms if len(latencies_ms) > 1 else latencies_ms * 2
    cuts = statistics.quantiles(several, n=100, method="inclusive")
    return {
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "max_ms": round(max(latencies_ms), 2),
        "count": len(latencies_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("url")
    parser.add_argument("path")
    parser.add_argument("count", type=int)
    parser.add_argument("clients", type=int)
    parser.add_argument("--pause-ms", type=float, default=0, help="between answer and next request")
    parser.add_argument("--body", default="", help="JSON of every request; else numbers")
    result = uvloop.run(load(parser.parse_args()))
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
