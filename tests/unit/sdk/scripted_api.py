"""A server that answers from a script, and remembers what it was asked."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedApi:
    url: str = ""
    script: list[Any] = field(default_factory=list)
    """`(status, body)`, `(status, body, headers)`, or a coroutine function; used one after the other."""
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        step = self.script.pop(0)
        if callable(step):
            response: web.StreamResponse = await step(request)
            return response
        status, body, *rest = step
        return web.json_response(body, status=status, headers=rest[0] if rest else None)


@asynccontextmanager
async def scripted_api(*script: Any) -> AsyncGenerator[ScriptedApi, None]:
    api = ScriptedApi(script=list(script))
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        await runner.cleanup()
