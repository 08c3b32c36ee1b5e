"""Errors reach Sentry with what identifies them, and without what is private."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import sentry_sdk
import structlog
from aiohttp import web
from pydantic import SecretStr

from common import error_reports
from common.error_reports import (
    configure_error_reports,
    flush_error_reports,
    reported_duration,
)
from common.logs import configure_logging, get_logger, set_error_reporter
from common.settings import OrchestratorSettings

# Far from where it is used: reports show the lines of source code around a failure.
PRIVATE = "the-private-prompt"


class Sentry:
    """A server that takes envelopes: a head, then items, each with a head that says its type and length."""

    def __init__(self) -> None:
        self.dsn = ""
        self.events: list[dict[str, Any]] = []
        self.transactions: list[dict[str, Any]] = []
        self.raw = b""

    async def receive(self, request: web.Request) -> web.Response:
        assert "sentry_key=public" in request.headers["X-Sentry-Auth"]
        assert request.content_type == "application/x-sentry-envelope"
        body = await request.read()
        self.raw += body
        _, rest = body.split(b"\n", 1)
        while rest.strip():
            head, rest = rest.split(b"\n", 1)
            item = json.loads(head)
            content, rest = rest[: item["length"]], rest[item["length"] + 1 :]
            kept = {"event": self.events, "transaction": self.transactions}.get(item["type"])
            if kept is not None:
                kept.append(json.loads(content))
        return web.json_response({})


@pytest.fixture
async def sentry() -> AsyncIterator[Sentry]:
    server = Sentry()
    app = web.Application()
    app.router.add_post("/api/1/envelope/", server.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.dsn = f"http://public@127.0.0.1:{runner.addresses[0][1]}/1"
    yield server
    await runner.cleanup()


@pytest.fixture(autouse=True)
def restored_process() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    set_error_reporter(None)
    error_reports._Durations.are_told = False
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def fail(secret: str) -> None:
    private = f"prompt: {secret}"
    raise RuntimeError(f"failed after {len(private)} characters")


async def test_an_error_is_reported_with_its_identity_and_without_local_variables(
    sentry: Sentry,
) -> None:
    settings = OrchestratorSettings(sentry_dsn=SecretStr(sentry.dsn))
    configure_logging("orchestrator", settings)
    assert configure_error_reports(settings)
    try:
        fail(PRIVATE)
    except RuntimeError:
        get_logger().exception("turn_failed", execution_id="e-1")
    get_logger().error("without_exception")
    await asyncio.to_thread(flush_error_reports)
    (event,) = sentry.events
    tags = event["tags"]
    assert tags["execution_id"] == "e-1"
    assert tags["service"] == "orchestrator"
    assert event["environment"] == "development"
    assert PRIVATE.encode() not in sentry.raw


async def test_expected_trouble_is_not_reported(sentry: Sentry) -> None:
    settings = OrchestratorSettings(sentry_dsn=SecretStr(sentry.dsn))
    configure_logging("orchestrator", settings)
    configure_error_reports(settings)
    try:
        fail("x")
    except RuntimeError:
        get_logger().info("try_failed", exc_info=True)
    await asyncio.to_thread(flush_error_reports)
    assert sentry.events == []


async def test_a_report_says_which_release_and_hides_the_secrets_that_a_message_quotes(
    sentry: Sentry,
) -> None:
    settings = OrchestratorSettings(
        sentry_dsn=SecretStr(sentry.dsn),
        sentry_environment="blue",
        sentry_release="kwe@9.9.9",
        redis_password=SecretStr("the-redis-password"),
    )
    configure_logging("orchestrator", settings)
    configure_error_reports(settings)
    try:
        raise ConnectionError("postgresql://kwe:hush-hush@db:5432 and the-redis-password")
    except ConnectionError:
        get_logger().exception("connection_failed", correlation_id="r-1")
    await asyncio.to_thread(flush_error_reports)
    (event,) = sentry.events
    assert event["release"] == "kwe@9.9.9"
    assert event["environment"] == "blue"
    assert event["tags"]["correlation_id"] == "r-1"
    said = event["exception"]["values"][0]["value"]
    assert said == "postgresql://kwe:[redacted]@db:5432 and [redacted]"


async def test_no_error_is_reported_at_a_sample_rate_of_0(sentry: Sentry) -> None:
    settings = OrchestratorSettings(sentry_dsn=SecretStr(sentry.dsn), sentry_sample_rate=0)
    configure_logging("orchestrator", settings)
    configure_error_reports(settings)
    try:
        fail("x")
    except RuntimeError:
        get_logger().exception("turn_failed")
    await asyncio.to_thread(flush_error_reports)
    assert sentry.events == []


async def test_durations_are_told_at_the_rate_that_was_asked_for(sentry: Sentry) -> None:
    with reported_duration("GET /v1/before", "http.server"):
        pass
    settings = OrchestratorSettings(sentry_dsn=SecretStr(sentry.dsn), sentry_traces_sample_rate=1)
    configure_error_reports(settings)
    with reported_duration("GET /v1/executions", "http.server"):
        pass
    await asyncio.to_thread(flush_error_reports)
    (transaction,) = sentry.transactions
    assert transaction["transaction"] == "GET /v1/executions"
    assert transaction["contexts"]["trace"]["op"] == "http.server"


def test_nothing_is_reported_without_an_address() -> None:
    assert not configure_error_reports(OrchestratorSettings())
