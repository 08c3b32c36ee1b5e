"""The work on DBOS: three sequential durable no-op steps, behind HTTP. Runs in an environment of its own.

python dbos_service.py DATABASE_URL PORT EXECUTOR
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

from aiohttp import web
from dbos import DBOS

POOL = 20


@DBOS.step()
async def noop(data: dict[str, Any]) -> dict[str, Any]:
    return data


@DBOS.workflow()
async def three(data: dict[str, Any]) -> dict[str, Any]:
    for _ in range(3):
        data = await noop({"n": data["n"] + 1})
    return data


async def start(request: web.Request) -> web.Response:
    body = await request.json()
    return web.json_response(await three(body["input"]))


async def serve(port: int) -> None:
    """Print `ready` once it serves. Several processes may share the port."""
    app = web.Application()
    app.add_routes([web.post("/three", start)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_port=True).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    database_url, port, executor = sys.argv[1:4]
    logging.disable(logging.WARNING)
    DBOS(
        config={
            "name": "bench",
            "system_database_url": database_url,
            "application_version": "1",
            "executor_id": executor,
            "sys_db_pool_size": POOL,
            "log_level": "ERROR",
            # In its favour: no `SELECT 1` before each use of a pooled connection.
            "db_engine_kwargs": {"pool_pre_ping": False},
        }
    )
    DBOS.launch()
    asyncio.run(serve(int(port)))


if __name__ == "__main__":
    main()
