"""The load generator, a process of its own: `python -m bench.load URL KEY PATH COUNT CLIENTS [WAIT]`.

A closed loop: each client sends its next request when it has the answer to the last one. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, field

import aiohttp
import orjson
import uvloop


@dataclass
class Answers:
    latencies_ms: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)


async def client(session: aiohttp.ClientSession, url: str, tickets: list[int], answers: Answers) -> None:
    while tickets:
        number = tickets.pop()
        body = orjson.dumps({"input": {"n": number}})
        began = time.perf_counter()
        try:
            async with session.post(url, data=body) as response:
                await response.read()
                status = str(response.status)
        except aiohttp.ClientError as error:
            status = type(error).__name__
        if status in ("200", "202"):
            answers.latencies_ms.append((time.perf_counter() - began) * 1000)
        else:
            answers.failures[status] = answers.failures.get(status, 0) + 1


async def load(url: str, key: str, count: int, clients: int) -> dict[str, object]:
    answers = Answers()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        tickets = list(range(count))
        began = time.time()
        await asyncio.gather(*[client(session, url, tickets, answers) for _ in range(clients)])
    return {"began": began, "ended": time.time(), "failures": answers.failures, **quantiles(answers.latencies_ms)}


def quantiles(latencies_ms: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile, in milliseconds."""
    if len(latencies_ms) < 2:
        return {}
    cuts = statistics.quantiles(latencies_ms, n=100, method="inclusive")
    return {
        "p50_ms": round(cuts[49], 2),
        "p95_ms": round(cuts[94], 2),
        "p99_ms": round(cuts[98], 2),
        "count": len(latencies_ms),
    }


def main() -> None:
    base, key, path, count, clients = sys.argv[1:6]
    result = uvloop.run(load(f"{base}{path}", key, int(count), int(clients)))
    print(orjson.dumps(result).decode())


if __name__ == "__main__":
    main()
