"""A secret is used everywhere a workflow can use it, and then looked for everywhere a running system leaves traces."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import orjson
import pytest
from aiohttp import web
from otlp_receiver import Collector
from redis.asyncio import Redis

from common.settings import DatabaseSettings, read
from kwe import Client
from kwe.backup.programs import fitting, run
from kwe.local.stack import LocalStack

MARK = f"mark:{secrets.token_hex(12)}/+ ä?&"
"""A text that looks different in URLs, in JSON and in base64."""

HEADER = {"dsl": "1.0.3", "namespace": "tests", "version": "1.0.0"}
USE = {"secrets": ["marked", "login", "account"]}


def forms() -> set[bytes]:
    raw = MARK.encode()
    texts = {MARK, quote(MARK), quote(MARK, safe=""), json.dumps(MARK)[1:-1]}
    # The part in the middle is what no escaping touches.
    found = {text.encode() for text in texts} | {MARK[5:29].encode()}
    found |= {base64.b64encode(raw)[:-4], base64.urlsafe_b64encode(raw)[:-4]}
    found |= {base64.b64encode(b"ada:" + raw)[8:-8], base64.b64encode(b"ab" + raw)[4:-8]}
    return found | {each.hex().encode() for each in found}


def occurrences(place: str, content: bytes) -> list[str]:
    return [
        f"{place}: {content[max(0, at - 300) : at + 80]!r}"
        for form in forms()
        if (at := content.find(form)) >= 0
    ]


class Echo:
    """A server that says back whatever it was told, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        told = {"path": request.path_qs, "headers": dict(request.headers), "body": body}
        self.heard.append(told)
        if request.path.endswith("/token"):
            return web.json_response({"access_token": f"issued-{MARK[5:29]}", "expires_in": 600})
        if request.path.startswith("/refuse"):
            return web.json_response(told, status=400)
        return web.json_response(told)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield
        finally:
            await runner.cleanup()


def document(name: str, do: list[Any], **more: Any) -> dict[str, Any]:
    return {"document": {**HEADER, "name": name}, "use": USE, "do": do, **more}


def caught(task: dict[str, Any]) -> dict[str, Any]:
    return {
        "try": [{"inner": task}],
        "catch": {"as": "problem", "do": [{"note": {"set": {"was": "${ $problem }"}}}]},
    }


def http(url: str, **more: Any) -> dict[str, Any]:
    arguments = {"method": "post", "endpoint": url, **more}
    return {"call": "http", "with": arguments}


def child() -> dict[str, Any]:
    say = {"set": {"said": '${ .given + "!" }'}}
    return document("hidden-child", [{"pause": {"wait": {"milliseconds": 50}}}, {"say": say}])


def parent(url: str) -> dict[str, Any]:
    secret = "${ $secrets.marked }"
    policies = {
        "basic": {"basic": {"use": "login"}},
        "bearer": {"bearer": {"token": secret}},
        "oauth2": {"oauth2": {"use": "account"}},
    }
    calls = [
        {name: http("", endpoint={"uri": f"{url}/{name}", "authentication": policy})}
        for name, policy in policies.items()
    ]
    run = {"namespace": "tests", "name": "hidden-child", "version": "1.0.0"}
    number = {"document": {"type": "integer"}}
    do = [
        *calls,
        {"small": {"set": {"held": secret}, "export": {"as": "."}}},
        {"large": {"set": {"held": "${ [range(60)] | map($secrets.marked) }"}}},
        {"loop": {"for": {"in": "${ [$secrets.marked, $secrets.marked] }"}, "do": [{"turn": {"set": {"x": "${ $item }"}}}]}},
        {"fork": {"fork": {"branches": [{"a": {"set": {"x": secret}}}, {"b": {"wait": {"seconds": 2}}}]}}},
        {"wait": {"wait": {"milliseconds": 300}}},
        {"child": {"run": {"workflow": {**run, "input": {"given": "${ $context.held }"}}}}},
        {"derived": http(f"{url}/derived", body={"b": "${ $context.held | @base64 }", "u": "${ $context.held | @uri }"})},
        {"query": caught(http(f"{url}/refuse", query={"q": secret}))},
        {"path": caught(http(f"{url}/refuse/${{ $secrets.marked | @uri }}"))},
        {"nowhere": caught(http("http://127.0.0.1:9/${ $secrets.marked | @uri }"))},
        {"error": caught({"set": {"x": "${ $secrets.marked | error }"}})},
        {"typed": caught({"set": {"x": 1}, "input": {"from": secret}, "output": {"as": secret, "schema": number}})},
        {"raised": caught({"raise": {"error": {"type": "https://a.example/e", "status": 400, "detail": secret}}})},
        {"late": caught({"wait": "${ $secrets.marked }"})},
        {"last": {"set": {"output": secret, "context": "${ $context }"}}},
    ]  # fmt: skip
    return document("hidden", do)


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    echo = Echo()
    async with echo.serving():
        yield echo


async def monitored(url: str, heard: bytearray, ready: asyncio.Event) -> None:
    redis = Redis.from_url(url)
    async with redis.monitor() as monitor:
        ready.set()
        while True:
            heard += str((await monitor.next_command())["command"]).encode(errors="replace")


async def snapshots(dsn: str) -> bytes:
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT snapshot FROM workflow.execution_state")
    finally:
        await connection.close()
    packed = [row["snapshot"] for row in rows if len(row["snapshot"]) > 2]
    return b"\n".join(zlib.decompress(each[2:]) if each[1] else each[2:] for each in packed)


async def dump_of(dsn: str) -> bytes:
    """As text: what is in bytes is in hexadecimal."""
    settings = read(DatabaseSettings, {"DATABASE_URL": dsn})
    tools = await fitting(18)
    return await run([tools.dump, "--format=plain", f"--dbname={dsn}"], settings)


def files_below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


async def test_no_trace_of_a_secret_is_left_anywhere(
    stack: LocalStack, client: Client, collector: Collector, echo: Echo
) -> None:
    answers = bytearray()
    account = {
        "authority": echo.url,
        "grant": "client_credentials",
        "client": {"id": "kwe", "secret": MARK},
    }
    for name, value in {
        "marked": MARK,
        "login": {"username": "ada", "password": MARK},
        "account": account,
    }.items():
        answers += orjson.dumps(await client.set_secret(name, value))
    redis_url, database = stack.environment.redis_url, stack.environment.database_url
    heard, ready, sealed_in_flight = bytearray(), asyncio.Event(), bytearray()
    monitor = asyncio.create_task(monitored(redis_url, heard, ready))
    await ready.wait()
    for each in (child(), parent(echo.url)):
        answers += orjson.dumps(await client.apply(each))
    started = await client.start("tests/hidden", {})
    async for event in client.stream(started.id):
        answers += repr(event).encode()
        sealed_in_flight += await snapshots(database)
    ended = await client.get(started.id)
    assert ended.status == "completed", ended
    answers += await everything_said(stack, started.id)
    await asyncio.sleep(0)
    monitor.cancel()
    with suppress(asyncio.CancelledError):
        await monitor

    assert_used(echo)
    dump = await dump_of(database)
    found = occurrences("dump", dump)
    found += occurrences("redis", bytes(heard)) + occurrences("API", bytes(answers))
    found += occurrences("snapshots", bytes(sealed_in_flight))
    found += occurrences("traces", b"".join(collector.bodies))
    for path in files_below(stack.folder / "logs"):
        found += occurrences(path.name, path.read_bytes())
    assert found == []
    # That it was looked for in the right places:
    assert b"$sealed" in heard
    assert b"tests/hidden" in heard
    assert b"$sealed" in dump
    assert ended.output == "[redacted]"
    assert collector.bodies


def assert_used(echo: Echo) -> None:
    """The outside world got the true values."""
    headers = {one["path"]: one["headers"].get("Authorization") for one in echo.heard}
    pair = base64.b64encode(f"ada:{MARK}".encode()).decode()
    assert headers["/basic"] == f"Basic {pair}"
    assert headers["/oauth2"] == f"Bearer issued-{MARK[5:29]}"
    derived = next(json.loads(one["body"]) for one in echo.heard if one["path"] == "/derived")
    assert derived["b"] == base64.b64encode(MARK.encode()).decode()


async def everything_said(stack: LocalStack, id: str) -> bytes:
    said = bytearray()
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    places = (
        *(f"/v1/executions/{id}{more}" for more in ("", "/history?limit=1000", "/tasks")),
        "/v1/executions",
        "/v1/executions?workflow=tests/hidden-child",
        "/v1/secrets",
        "/v1/dead-letters",
        "/v1/workflows/tests/hidden",
    )
    async with aiohttp.ClientSession(stack.url, headers=headers) as session:
        for place in places:
            async with session.get(place) as response:
                assert response.status == 200, await response.text()
                body = await response.read()
                said += body
                if place.endswith("hidden-child"):
                    (one,) = orjson.loads(body)["items"]
                    async with session.get(f"/v1/executions/{one['id']}") as answer:
                        shown = await answer.json()
                        said += await answer.read()
                    assert shown["input"] == shown["output"] == "[redacted]"
    return bytes(said)
