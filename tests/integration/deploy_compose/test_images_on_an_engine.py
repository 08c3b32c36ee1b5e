"""The images, built and run by a real engine as production runs them: read-only, without rights, as nobody in particular.

Building takes minutes and needs the base image and a package index, so an engine is asked for by name:
`KWE_TEST_ENGINE=docker`. `BUILD_OPTIONS` and `CA_BUNDLE` mean what they mean to `make images`.
"""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from nginx_stand import free_port, until

from kwe import Client

ROOT = Path(__file__).resolve().parents[3]
SERVICES = ("orchestrator", "executor", "knowledge", "gateway")
BUILD_SECONDS, DRAIN_SECONDS = 900, 30
GUARDED = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
WORKFLOW = {
    "document": {"dsl": "1.0.3", "namespace": "images", "name": "greet", "version": "1.0.0"},
    "do": [{"greet": {"set": {"text": "${ .name }"}}}],
}


@dataclass
class Engine:
    name: str
    version: str
    containers: list[str] = field(default_factory=list)

    def __call__(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [self.name, *arguments], capture_output=True, text=True, timeout=120, check=False
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def inspect(self, container: str, path: str) -> Any:
        return json.loads(self("inspect", "--format", "{{json " + path + "}}", container))

    def once(self, image: str, *arguments: str, environ: dict[str, str], entry: str = "") -> str:
        options = [f"--env={name}={value}" for name, value in environ.items()]
        options += [f"--entrypoint={entry}"] if entry else []
        image = f"kwe-{image}:{self.version}"
        return self("run", "--rm", "--network=host", *GUARDED, *options, image, *arguments)

    @contextmanager
    def service(self, name: str, environ: dict[str, str]) -> Iterator[str]:
        container = f"kwe-test-{uuid.uuid4().hex[:12]}"
        options = [f"--env={key}={value}" for key, value in environ.items()]
        image = f"kwe-{name}:{self.version}"
        self("run", "-d", f"--name={container}", "--network=host", *GUARDED, *options, image)
        try:
            yield container
        finally:
            self("rm", "--force", container, check=False)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    name = os.environ.get("KWE_TEST_ENGINE")
    if not name:
        pytest.skip("name a container engine to build and run the images: KWE_TEST_ENGINE=docker")
    version = f"test-{uuid.uuid4().hex[:8]}"
    environ = os.environ | {"ENGINE": name, "VERSION": version, "REGISTRY": ""}
    done = subprocess.run(
        [str(ROOT / "deploy/images/images.sh"), "build"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    engine = Engine(name, version)
    yield engine
    for image in (*SERVICES, "migrate", "backup"):
        engine("image", "rm", "--force", f"kwe-{image}:{version}", check=False)


def settings(database: str, redis: str) -> dict[str, str]:
    return {
        "APP_ENV": "production",
        "HOST": "127.0.0.1",
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "JWT_SECRET": "a-secret-that-is-long-enough-for-hs256",
        "ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "LLM_PROVIDER": "extractive",
    }


@pytest.mark.timeout(BUILD_SECONDS + 300)
async def test_the_images_start_do_their_work_and_drain(
    engine: Engine, bare_database: str, redis_url: str
) -> None:
    common, port = settings(bare_database, redis_url), free_port()
    engine.once("migrate", environ=common)
    engine.once("migrate", "admin", "create-organization", "acme", environ=common, entry="kwe")
    assert "Usage: kwe backup" in engine.once("backup", "backup", "--help", environ=common)
    create_key = ("admin", "create-key", "--organization", "acme")
    key = engine.once("migrate", *create_key, environ=common, entry="kwe").split()[0]
    with ExitStack() as stack:
        containers = {}
        for name in SERVICES:
            own = {"METRICS_PORT": str(free_port()), "PORT": str(port)}
            containers[name] = stack.enter_context(engine.service(name, common | own))
        for name, container in containers.items():
            until(lambda each=container: is_healthy(engine, each), f"{name} is healthy")
            assert engine("exec", container, "id", "-u") == "10001"
            until(lambda each=container: is_ready(engine, each), f"{name} is ready")
        async with Client(f"http://127.0.0.1:{port}", key) as client:
            await client.apply(WORKFLOW)
            execution = await client.run("images/greet", {"name": "Ada"})
            assert execution.output == {"text": "Ada"}
        for name, container in containers.items():
            drains(engine, name, container)


def is_healthy(engine: Engine, container: str) -> bool:
    assert engine.inspect(container, ".State.Running"), engine("logs", container)
    return bool(engine.inspect(container, ".State.Health.Status") == "healthy")


def is_ready(engine: Engine, container: str) -> bool:
    answer = engine("exec", container, "kwe", "health", "--ready", check=False)
    return '"status":"ready"' in answer


def drains(engine: Engine, name: str, container: str) -> None:
    """It ends by itself, in time and well, when it is asked to."""
    began = time.monotonic()
    engine("stop", f"--time={DRAIN_SECONDS}", container)
    assert time.monotonic() - began < DRAIN_SECONDS, name
    assert engine.inspect(container, ".State.ExitCode") == 0, name


def test_the_images_say_their_version_and_how_to_ask_for_their_health(engine: Engine) -> None:
    for name in SERVICES:
        configuration = engine.inspect(f"kwe-{name}:{engine.version}", ".Config")
        labels = configuration["Labels"]
        assert labels["org.opencontainers.image.version"] == engine.version
        assert labels["org.opencontainers.image.title"] == f"kwe-{name}"
        assert configuration["User"] == "10001"
        assert configuration["Healthcheck"]["Test"] == ["CMD", "kwe", "health"]
