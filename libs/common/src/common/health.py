"""What a process says about itself: `/health`, `/ready` and `/metrics`.

`/health` answers as soon as the event loop does, and knows nothing of PostgreSQL or Redis: an outage of theirs must
not make the platform restart everything that waits for them. `/ready` asks the dependencies, and is how traffic
finds only those who can serve it.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import orjson
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from common.debugging import debug_routes
from common.errors import ConfigurationError
from common.lifecycle import background
from common.logs import get_logger
from common.metrics import LOOP_LAG_SECONDS, READY
from common.migrations import OWNERS, pending
from common.settings import CommonSettings

log = get_logger(__name__)

Check = Callable[[], Awaitable[str | None]]
"""Answers `None` when all is well, else the reason in words for an operator."""

CHECK_TIMEOUT_SECONDS: Final = 2.0
LOOP_MEASURE_SECONDS: Final = 5.0


class Health:
    """The state behind the routes. Draining is final."""

    def __init__(self, service: str, checks: Mapping[str, Check], *, metrics: bool = True) -> None:
        self._service = service
        self._checks = dict(checks)
        self._metrics = metrics
        self._draining = False

    def start_draining(self) -> None:
        """From now on not ready. Give it to `run_until_signalled` as `on_draining`."""
        self._draining = True

    async def reasons(self) -> dict[str, str]:
        """Why the process is not ready, by check; empty when it is."""
        results = await asyncio.gather(*(_run(check) for check in self._checks.values()))
        found = {
            name: reason
            for name, reason in zip(self._checks, results, strict=True)
            if reason is not None
        }
        for name in self._checks:
            READY.labels(name).set(name not in found)
        return {"draining": "the process is stopping"} | found if self._draining else found

    def routes(self) -> list[web.RouteDef]:
        """The gateway serves them on its public port too."""
        routes = [web.get("/health", self._health), web.get("/ready", self._ready)]
        return [*routes, web.get("/metrics", self._metrics_text)] if self._metrics else routes

    async def _health(self, _request: web.Request) -> web.Response:
        return _json({"status": "ok", "service": self._service})

    async def _ready(self, _request: web.Request) -> web.Response:
        reasons = await self.reasons()
        if not reasons:
            return _json({"status": "ready", "service": self._service})
        return _json(
            {"status": "not ready", "service": self._service, "reasons": reasons}, status=503
        )

    async def _metrics_text(self, _request: web.Request) -> web.Response:
        await self.reasons()  # whose answers are metrics too
        return web.Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


async def _run(check: Check) -> str | None:
    """A check that fails or hangs is a reason too."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_SECONDS:g} s"
    except Exception as error:
        log.debug("readiness_check_failed", exc_info=True)
        return f"{type(error).__name__}: {error}"


def _json(body: Mapping[str, Any], *, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


@asynccontextmanager
async def serve_health(
    service: str, settings: CommonSettings, checks: Mapping[str, Check]
) -> AsyncGenerator[Health]:
    """Serve the routes on `METRICS_PORT` for the length of the block, draining included."""
    health = Health(service, checks, metrics=settings.metrics_enabled)
    app = web.Application()
    app.add_routes([*health.routes(), *debug_routes(service, settings)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await open_port(runner, settings.host, settings.metrics_port, variable="METRICS_PORT")
        async with background(_measure_loop_lag()):
            yield health
    finally:
        await runner.cleanup()


async def open_port(runner: web.AppRunner, host: str, port: int, *, variable: str) -> None:
    """Listen, or raise `ConfigurationError` saying which variable chose a port that is not to be had."""
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise ConfigurationError(
            f"{variable}={port} cannot be opened on {host}: {error.strerror or error}. "
            f"Stop what uses it, or set {variable} to a free port",
            code="port_unavailable",
        ) from error
    log.debug("port_opened", variable=variable, address=str(runner.addresses))


async def _measure_loop_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(LOOP_MEASURE_SECONDS)
        LOOP_LAG_SECONDS.set(max(0.0, loop.time() - before - LOOP_MEASURE_SECONDS))


def database_check(pool: "asyncpg.Pool[Any]") -> Check:
    """Whether PostgreSQL answers."""

    async def check() -> str | None:
        await pool.fetchval("SELECT 1")
        return None

    return check


def migrations_check(pool: "asyncpg.Pool[Any]", packages: Sequence[str] = OWNERS) -> Check:
    """Whether the database has everything that this code needs. Asks until it has, and then never again."""
    complete = False

    async def check() -> str | None:
        nonlocal complete
        if not complete:
            missing = await pending(pool, packages)
            if missing:
                return f"{len(missing)} migrations are not applied, the first is {missing[0]}: run `kwe migrate`"
            complete = True
        return None

    return check
