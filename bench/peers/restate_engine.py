"""Restate: its server, and a handler of ours in a process of its own; state in the server's own log."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp

from bench.peers.engines import Answering
from bench.peers.installing import HOME, NotAvailable, npm_package, python_environment
from bench.peers.processes import process, until

SERVER_VERSION: Final = "1.7.12"
SDK_VERSION: Final = "1.3.0"
ADMIN: Final = "http://127.0.0.1:19070"
INGRESS: Final = "http://127.0.0.1:18080"
HANDLERS: Final = "http://127.0.0.1:19080"
CLIENTS: Final = 512
"""An answer is a finished workflow, so it takes more waiting clients than ours to keep it busy."""

APPS: Final = Path(__file__).parent / "apps"


@asynccontextmanager
async def restate() -> AsyncGenerator[Answering]:
    server = await _server()
    requirements = (f"restate-sdk=={SDK_VERSION}", "granian==2.8.7", "uvloop")
    binaries = await python_environment("restate", *requirements)
    data = HOME / "restate" / "data"
    shutil.rmtree(data, ignore_errors=True)
    version = f"restate-server {SERVER_VERSION}, restate-sdk {SDK_VERSION}"
    async with AsyncExitStack() as stack:
        configuration = ("--config-file", str(APPS / "restate.toml"))
        serving = await stack.enter_async_context(
            process("restate-server", str(server), *configuration, "--base-dir", str(data))
        )
        await until(_is_up, "Restate's server")
        handling = await stack.enter_async_context(
            process("restate-handlers", *_handlers(binaries), cwd=APPS)
        )
        await until(_registered, "Restate's handlers")
        engine = Answering("Restate", version, INGRESS, "/Bench/three", clients=CLIENTS, share=1.0)
        engine.roots = {"restate-server": serving.pid, "handlers": handling.pid}
        await engine.latency(50)
        yield engine


async def _server() -> Path:
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine())
    if platform.system() != "Linux" or machine is None:
        raise NotAvailable("its server has no build for this machine")
    modules = await npm_package("restate", "@restatedev/restate-server", SERVER_VERSION)
    program = modules / f"@restatedev/restate-server-linux-{machine}" / "bin" / "restate-server"
    if not program.exists():
        raise NotAvailable("npm did not bring its server")
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def _handlers(binaries: Path) -> tuple[str, ...]:
    host, _, port = HANDLERS.removeprefix("http://").partition(":")
    listening = ("--interface", "asginl", "--http", "2", "--host", host, "--port", port)
    quiet = ("--loop", "uvloop", "--no-access-log", "--log-level", "warning")
    return (str(binaries / "granian"), *listening, *quiet, "restate_service:app")


async def _is_up() -> bool:
    try:
        async with aiohttp.ClientSession() as http:
            for url in (f"{ADMIN}/health", f"{INGRESS}/restate/health"):
                async with http.get(url) as response:
                    if response.status != 200:
                        return False
    except aiohttp.ClientError:
        return False
    return True


async def _registered() -> bool:
    body = {"uri": HANDLERS, "force": True}
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{ADMIN}/deployments", json=body) as response,
        ):
            return response.status in (200, 201)
    except aiohttp.ClientError:
        return False
