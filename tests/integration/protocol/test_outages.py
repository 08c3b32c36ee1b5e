"""PostgreSQL and Redis go away and come back: what users are told meanwhile, and that nothing is lost."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import ClientError


async def refused(desk: Any, code: str) -> None:
    """Wait until starts are refused with this code, then see that the refusal is quick and says when to return."""

    async def told() -> bool:
        try:
            status, body, _ = await desk.post_start("proof/one", f"refused-{time.monotonic()}")
        except (ClientError, OSError, TimeoutError):
            return False
        return status == 503 and body["code"] == code

    await desk.until(told, f"a refusal with code {code}")
    began = time.monotonic()
    status, _, headers = await desk.post_start("proof/one", "refused-quickly")
    assert (status, headers["retry-after"]) == (503, "1")
    assert time.monotonic() - began < 1


async def test_without_postgresql_starts_are_refused_at_once_and_everything_recovers(
    stack: Any, desk: Any
) -> None:
    ids = await desk.load(6, workers=6)
    postgres = stack.local.environment.postgres
    await asyncio.to_thread(stack.run, postgres.stop())

    await refused(desk, "database_unavailable")

    await asyncio.to_thread(stack.run, postgres.start())
    await desk.started_again()
    ids += await desk.load(2, workers=2)
    await desk.balanced(ids, effects_max=2)


async def test_without_redis_starts_are_refused_reads_go_on_and_everything_recovers(
    stack: Any, desk: Any
) -> None:
    ids = await desk.load(6, workers=6)
    valkey = stack.local.environment.valkey
    await asyncio.to_thread(stack.run, valkey.stop())

    await refused(desk, "streams_unavailable")
    async with desk.http.get(f"/v1/executions/{ids[0]}") as response:
        assert response.status == 200

    await asyncio.to_thread(stack.run, valkey.start())
    await desk.started_again()
    ids += await desk.load(2, workers=2)
    await desk.balanced(ids, effects_max=2)
