"""A stand-in for an OpenTelemetry collector, a process of its own: takes OTLP over HTTP, counts exports, keeps nothing."""

from __future__ import annotations

import asyncio

from aiohttp import web


async def serve() -> None:
    """Print the address and serve until the process is ended."""
    exports: list[int] = []

    async def take(request: web.Request) -> web.Response:
        exports.append(len(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    async def received(_request: web.Request) -> web.Response:
        return web.Response(text=str(len(exports)))

    app = web.Application(client_max_size=64 * 2**20)
    app.add_routes([web.post("/v1/traces", take), web.get("/received", received)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
