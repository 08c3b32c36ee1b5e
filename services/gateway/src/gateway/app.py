"""Wiring: the one module that knows every part of the gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import asyncpg
from aiohttp import web
from pydantic import SecretStr

from common.diagnosis import require_database, require_redis
from common.errors import ConfigurationError
from common.health import open_port, serve_health
from common.ids import uuid7
from common.lifecycle import background, tune_garbage_collection
from common.logs import get_logger
from common.postgres import create_pool
from common.security import TokenIssuer, TokenVerifier
from common.security.vault import Vault
from common.settings import GatewaySettings
from common.streams.connection import Link
from common.streams.publisher import Publisher
from common.streams.requests import Requester
from gateway import certificates
from gateway.catalogue import Catalogue
from gateway.context import GATEWAY, Gateway
from gateway.credentials import Credentials
from gateway.limits.gcra import Policy
from gateway.limits.limiter import Limiter
from gateway.middleware.admission import admit
from gateway.middleware.cors import cors
from gateway.middleware.observation import add_headers, observe
from gateway.middleware.problems import answer_errors
from gateway.owners import Owners
from gateway.page import add_page
from gateway.payloads import Payloads
from gateway.readiness import checks, require_same_partitions
from gateway.reads.database import Database, Server
from gateway.redis_calls import Calls
from gateway.route import Endpoint
from gateway.routes.documentation import every_route
from gateway.sse.deltas import Deltas
from gateway.sse.feed import BLOCK_MS, Feed, FeedFactory
from gateway.sse.hub import Hub
from gateway.upstream import Upstream

log = get_logger(__name__)

SERVICE: Final = "gateway"
ROLE: Final = "kwe_gateway"
"""Bound by row-level security. Logging in as the owner and becoming this role needs no second password."""

COMMAND_TIMEOUT_SECONDS: Final = 15.0
REDIS_TIMEOUT_SECONDS: Final = 2.0
READER_TIMEOUT_SECONDS: Final = BLOCK_MS / 1000 + 5
SHUTDOWN_SECONDS: Final = 10.0


@asynccontextmanager
async def gateway_service(settings: GatewaySettings) -> AsyncGenerator[web.AppRunner]:
    """Serve the API for the length of the block."""
    async with AsyncExitStack() as stack:
        database = await _database(settings, stack)
        redis = settings.redis_dsn
        link = Link(redis, timeout_s=REDIS_TIMEOUT_SECONDS, name="kwe-gateway")
        calls = Calls(link)
        stack.push_async_callback(calls.close)
        await require_redis(link, may_be_away=True)
        upstream = Upstream(calls)
        await upstream.look()
        await require_same_partitions(database, settings.partitions)
        health = await stack.enter_async_context(
            serve_health(
                SERVICE, settings, checks(database, upstream, partitions=settings.partitions)
            )
        )
        await stack.enter_async_context(background(upstream.watch(), name="upstream"))
        requester = await _requester(redis, stack)
        deltas = _deltas(redis)
        stack.push_async_callback(deltas.close)
        await stack.enter_async_context(background(deltas.run(), name="deltas"))
        if watched := certificates.addresses(settings.watched_certificates):
            await stack.enter_async_context(background(certificates.watch(watched)))
        hub = Hub(_feeds(redis, calls), calls)
        parts = Gateway(
            settings=settings,
            database=database,
            owners=Owners(
                requester,
                upstream,
                partitions=settings.partitions,
                timeout_s=settings.reply_timeout.total_seconds(),
            ),
            credentials=Credentials(database, _verifier(settings)),
            limiter=Limiter(
                calls, Policy.of(settings.rate_limit_max_requests, settings.rate_limit_window)
            ),
            payloads=Payloads(database),
            hub=hub,
            deltas=deltas,
            catalogue=Catalogue(database),
            health=health,
            issuer=_issuer(settings),
            vault=Vault.of(settings),
        )
        runner = await stack.enter_async_context(_served(application(parts), parts))
        tune_garbage_collection()
        yield runner


def application(parts: Gateway) -> web.Application:
    """The routes and what happens around them."""
    settings = parts.settings
    app = web.Application(
        client_max_size=settings.max_request_bytes,
        middlewares=[
            observe,
            answer_errors,
            cors(settings.cors_origin, credentials=settings.cors_credentials),
            admit,
        ],
    )
    app[GATEWAY] = parts
    for route in every_route():
        app.router.add_route(route.method, route.path, Endpoint(route).handle)
    add_page(app)
    app.on_response_prepare.append(add_headers)
    return app


@asynccontextmanager
async def _served(app: web.Application, parts: Gateway) -> AsyncGenerator[web.AppRunner]:
    settings = parts.settings
    runner = web.AppRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=SHUTDOWN_SECONDS,
        keepalive_timeout=75,
    )
    await runner.setup()
    try:
        await open_port(runner, settings.host, settings.port, variable="PORT")
        log.info("gateway_listening", addresses=[str(each) for each in runner.addresses])
        yield runner
    finally:
        parts.health.start_draining()
        # Streams end first; clients resume them at another replica. Then requests in flight finish.
        await parts.hub.close()
        await runner.cleanup()


async def _database(settings: GatewaySettings, stack: AsyncExitStack) -> Database:
    role = settings.database_role or ROLE
    primary = await create_pool(
        settings,
        application_name="kwe-gateway",
        role=role,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
    )
    stack.callback(primary.terminate)
    await require_database(primary)
    if settings.database_read_url is None:
        return Database(Server(primary, "primary"))
    replica = await _replica(settings, settings.database_read_url, role)
    stack.callback(replica.terminate)
    return Database(Server(primary, "primary"), Server(replica, "replica"))


async def _replica(
    settings: GatewaySettings, url: SecretStr, role: str
) -> asyncpg.Pool[asyncpg.Record]:
    """A wrong address or password ends the start; one that is away does not: the primary stands in for it meanwhile."""

    async def pool(min_size: int | None = None) -> asyncpg.Pool[asyncpg.Record]:
        return await create_pool(
            settings,
            application_name="kwe-gateway",
            url=url,
            role=role,
            min_size=min_size,
            command_timeout=COMMAND_TIMEOUT_SECONDS,
        )

    try:
        return await pool()
    except ConfigurationError as error:
        if not isinstance(error.__cause__, OSError):
            raise
        log.warning("replica_unreachable", reason=str(error))
        return await pool(min_size=0)


async def _requester(redis: str, stack: AsyncExitStack) -> Requester:
    writer = Link(redis, timeout_s=REDIS_TIMEOUT_SECONDS, name="kwe-gateway-commands")
    reader = Link(redis, timeout_s=READER_TIMEOUT_SECONDS, name="kwe-gateway-replies")
    stack.push_async_callback(writer.close)
    stack.push_async_callback(reader.close)
    requester = Requester(Publisher(writer), reader, instance=f"gateway-{uuid7()}")
    await stack.enter_async_context(requester.running())
    return requester


def _feeds(redis: str, calls: Calls) -> FeedFactory:
    def new_feed(organization_id: str) -> Feed:
        link = Link(redis, timeout_s=READER_TIMEOUT_SECONDS, name="kwe-gateway-feed")
        return Feed(organization_id, link, calls)

    return new_feed


def _deltas(redis: str) -> Deltas:
    from redis.asyncio import Redis

    # Without a timeout redis-py writes without `asyncio.wait_for`, which on Python 3.11 may swallow a cancellation.
    # A connection that dies silently is found by TCP keepalive.
    client = Redis.from_url(
        redis, client_name="kwe-gateway-deltas", socket_timeout=None, socket_keepalive=True
    )
    return Deltas(client)


def _verifier(settings: GatewaySettings) -> TokenVerifier | None:
    if settings.jwt_secret is None:
        return None
    return TokenVerifier(
        secret=settings.jwt_secret, issuer=settings.jwt_issuer, audience=settings.jwt_audience
    )


def _issuer(settings: GatewaySettings) -> TokenIssuer | None:
    if settings.jwt_secret is None:
        return None
    return TokenIssuer(
        secret=settings.jwt_secret,
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        expiry=settings.jwt_expiry,
    )
