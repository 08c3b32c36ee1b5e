"""`/debug` shows what a process does, and to nobody but who runs the installation."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from pydantic import SecretStr

from common import logs
from common.health import serve_health
from common.settings import GatewaySettings

TOKEN = "t" * 32
PASSWORD = "hunter2-hunter2"


@pytest.fixture(autouse=True)
def same_level_afterwards() -> Iterator[None]:
    before = logs._Level.current
    yield
    logs.set_level(before)


@asynccontextmanager
async def serving(token: str | None = TOKEN) -> AsyncIterator[aiohttp.ClientSession]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    settings = GatewaySettings(
        host="127.0.0.1",
        metrics_port=port,
        debug_token=None if token is None else SecretStr(token),
        database_url=SecretStr(f"postgresql://kwe:{PASSWORD}@db/kwe"),
    )
    async with (
        serve_health("gateway", settings, {}),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("path", ["", "/tasks", "/threads", "/objects"])
async def test_without_the_token_nothing_is_shown(path: str) -> None:
    async with serving() as session:
        for headers in ({}, bearer("x" * 32), {"Authorization": TOKEN[:-1]}, bearer("ü")):
            async with session.get(f"/debug{path}", headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"] == "Bearer"
                assert "DEBUG_TOKEN" in await answer.text()


async def test_where_no_token_is_set_there_is_no_debug() -> None:
    async with serving(token=None) as session, session.get("/debug", headers=bearer()) as answer:
        assert answer.status == 404


async def test_the_overview_shows_settings_and_no_secret() -> None:
    async with serving() as session, session.get("/debug", headers=bearer()) as answer:
        assert answer.status == 200
        text = await answer.text()
    shown = json.loads(text)
    assert shown["service"] == "gateway"
    assert shown["settings"]["PARTITIONS"] == 8
    assert shown["settings"]["DATABASE_URL"] == "set"
    assert shown["settings"]["JWT_SECRET"] == "unset"
    assert shown["residentMiB"] > 1
    assert TOKEN not in text
    assert PASSWORD not in text


async def test_it_shows_where_every_coroutine_waits() -> None:
    async def waits_for_ever() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(waits_for_ever(), name="the one that hangs")
    async with serving() as session:
        async with session.get("/debug/tasks", headers=bearer()) as answer:
            text = await answer.text()
        async with session.get("/debug/threads", headers=bearer()) as answer:
            threads = await answer.text()
    task.cancel()
    assert "the one that hangs" in text
    assert "in waits_for_ever" in text
    assert "MainThread" in threads


async def test_it_counts_what_there_is_most_of() -> None:
    async with serving() as session, session.get("/debug/objects", headers=bearer()) as answer:
        found = await answer.json()
    assert found["tracked"] > 1000
    assert "builtins.dict" in {one["type"] for one in found["types"]}


async def test_the_level_of_logs_is_changed_at_once() -> None:
    async with serving() as session:
        async with session.put("/debug/log-level", headers=bearer(), data="debug") as answer:
            assert (answer.status, await answer.json()) == (200, {"logLevel": "debug"})
        assert logs._Level.current == logging.DEBUG
        async with session.put("/debug/log-level", headers=bearer(), data="loud") as answer:
            assert answer.status == 422
            assert "debug, info, warning, error" in await answer.text()
