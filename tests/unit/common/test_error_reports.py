"""Errors reach Sentry with what identifies them, and without what is private."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import sentry_sdk
import structlog
from aiohttp import web
from pydantic import SecretStr

from common.error_reports import configure_error_reports, flush_error_reports
from common.logs import configure_logging, get_logger, set_error_reporter
from common.settings import OrchestratorSettings

# Far from where it is used: reports show the lines of source code around a failure.
PRIVATE = "the-private-prompt"


class Sentry:
    """A server that keeps the events it is sent."""

    def __init__(self) -> None:
        self.dsn = ""
        self.events: list[dict[str, object]] = []
        self.raw = b""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.raw += body
        lines = [json.loads(line) for line in body.splitlines() if line]
        self.events.extend(line for line in lines if "exception" in line)
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
    assert isinstance(tags, dict)
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


def test_nothing_is_reported_without_an_address() -> None:
    assert not configure_error_reports(OrchestratorSettings())
