"""Health knows nothing of dependencies; readiness says what is missing."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest

from common import health as health_module
from common.errors import ConfigurationError
from common.health import Check, Health, serve_health
from common.settings import OrchestratorSettings


async def well() -> str | None:
    return None


async def away() -> str | None:
    return "PostgreSQL does not answer"


async def broken() -> str | None:
    raise ConnectionError("refused")


async def hanging() -> str | None:
    await asyncio.Event().wait()
    return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def local(*, port: int, metrics: bool = True) -> OrchestratorSettings:
    return OrchestratorSettings(host="127.0.0.1", metrics_port=port, metrics_enabled=metrics)


class Probe:
    def __init__(self, session: aiohttp.ClientSession, port: int, health: Health) -> None:
        self._session = session
        self._base = f"http://127.0.0.1:{port}"
        self.health = health

    async def get(self, path: str) -> tuple[int, str]:
        async with self._session.get(self._base + path) as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def serving(checks: Mapping[str, Check], *, metrics: bool = True) -> AsyncIterator[Probe]:
    port = free_port()
    async with (
        serve_health("orchestrator", local(port=port, metrics=metrics), checks) as health,
        aiohttp.ClientSession() as session,
    ):
        yield Probe(session, port, health)


async def test_a_process_whose_dependencies_are_well_is_ready() -> None:
    async with serving({"database": well}) as probe:
        assert await probe.get("/ready") == (200, '{"status":"ready","service":"orchestrator"}')


async def test_health_stays_good_while_dependencies_are_away() -> None:
    async with serving({"database": away}) as probe:
        assert (await probe.get("/health"))[0] == 200


async def test_a_process_that_is_not_ready_says_every_reason() -> None:
    async with serving({"database": away, "redis": broken, "queue": well}) as probe:
        status, body = await probe.get("/ready")
        assert status == 503
        assert '"database":"PostgreSQL does not answer"' in body
        assert '"redis":"ConnectionError: refused"' in body
        assert "queue" not in body


async def test_a_check_that_hangs_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "CHECK_TIMEOUT_SECONDS", 0.05)
    assert await Health("x", {"redis": hanging}).reasons() == {"redis": "no answer within 0.05 s"}


async def test_a_draining_process_is_not_ready_but_healthy() -> None:
    async with serving({"database": well}) as probe:
        probe.health.start_draining()
        assert (await probe.get("/ready"))[0] == 503
        assert "stopping" in (await probe.get("/ready"))[1]
        assert (await probe.get("/health"))[0] == 200


async def test_metrics_are_served_in_prometheus_form() -> None:
    async with serving({}) as probe:
        status, body = await probe.get("/metrics")
        assert status == 200
        assert "# TYPE kwe_batch_size histogram" in body


async def test_switching_metrics_off_takes_away_that_route_only() -> None:
    async with serving({}, metrics=False) as probe:
        assert (await probe.get("/metrics"))[0] == 404
        assert (await probe.get("/ready"))[0] == 200


async def test_a_taken_port_is_one_clear_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigurationError, match=f"METRICS_PORT={port} cannot be opened"
        ) as refused:
            async with serve_health("x", local(port=port), {}):
                pass
        assert "set METRICS_PORT to a free port" in refused.value.detail
