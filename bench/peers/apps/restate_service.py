"""The work on Restate: one handler with three sequential durable no-op steps. Runs in an environment of its own."""

from __future__ import annotations

from typing import Any

import restate

bench = restate.Service("Bench")


async def noop(data: dict[str, Any]) -> dict[str, Any]:
    return data


@bench.handler()
async def three(context: restate.Context, body: dict[str, Any]) -> dict[str, Any]:
    data = body["input"]
    for _ in range(3):
        data = await context.run_typed("noop", noop, data={"n": data["n"] + 1})
    return data


app = restate.app([bench], protocol="bidi")
