"""The Compose files with a real Compose and a real engine, on servers from wheels.

In the network of this machine, so that an engine without networks of its own will do: ports differ from compose.yaml,
and nothing else. Asked for by name, as the images are: `KWE_TEST_ENGINE=docker`, and `KWE_TEST_IMAGES` for the tag of
images that `make images` has built.
"""

import os
import shutil
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import pytest
from nginx_stand import free_port

SERVICES = ("gateway", "orchestrator", "executor", "knowledge")
START_SECONDS = 180


@dataclass(frozen=True)
class Project:
    compose: Any
    folder: Path
    name: str
    environ: dict[str, str]

    def __call__(self, *arguments: str) -> str:
        files = ("compose.yaml", "compose.external.yaml", "host.yaml")
        named = [word for file in files for word in ("-f", str(self.folder / file))]
        done = self.compose.run("-p", self.name, *named, *arguments, env=self.environ, timeout=240)
        return str(done.stdout + done.stderr)


@pytest.fixture(scope="module")
def images() -> str:
    if not os.environ.get("KWE_TEST_ENGINE") or not os.environ.get("KWE_TEST_IMAGES"):
        pytest.skip(
            "build images and name them, and an engine: make images VERSION=test; KWE_TEST_IMAGES=test KWE_TEST_ENGINE=docker"
        )
    return os.environ["KWE_TEST_IMAGES"]


def without_password(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}"
    host = f"{parts.username}@{host}" if parts.username else host
    return urlunsplit(parts._replace(netloc=host)), unquote(parts.password or "")


def on_this_machine(port: int) -> str:
    """An overlay that differs in networks and ports, and builds nothing."""
    lines = ["services:"]
    for name in (*SERVICES, "migrate", "kwe", "backup"):
        lines += [f"  {name}:", "    networks: !reset []", "    network_mode: host"]
        lines += ["    build: !reset null"]
        if name in SERVICES:
            own = f'METRICS_PORT: "{free_port()}", HOST: 127.0.0.1, PORT: "{port}"'
            lines += [f"    environment: {{{own}}}"]
        if name == "gateway":
            lines += ["    ports: !reset []"]
    return "\n".join(lines)


@contextmanager
def project(
    compose: Any, source: Path, folder: Path, addresses: dict[str, str], port: int
) -> Iterator[Project]:
    place = folder / "deploy/compose"
    place.mkdir(parents=True)
    for file in ("compose.yaml", "compose.external.yaml"):
        shutil.copy(source / file, place / file)
    (place / "host.yaml").write_text(on_this_machine(port))
    example = (source.parents[1] / ".env.production.example").read_text()
    (folder / ".env.production").write_text(f"{example}\nLLM_PROVIDER=extractive\n")
    database, database_password = without_password(addresses["database"])
    redis, redis_password = without_password(addresses["redis"])
    secrets = {
        "database_password": database_password,
        "redis_password": redis_password,
        "jwt_secret": "a-secret-that-is-long-enough-for-hs256",
        "encryption_key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }
    (place / "secrets").mkdir()
    for name, text in secrets.items():
        (place / "secrets" / name).write_text(text)
        (place / "secrets" / name).chmod(0o644)
    servers = {"DATABASE_URL": database, "REDIS_URL": redis, "DATABASE_SSL": "false"}
    environ = os.environ | servers | {"REDIS_TLS": "false", "VERSION": addresses["images"]}
    made = Project(compose, place, f"kwe-test-{uuid.uuid4().hex[:8]}", environ)
    try:
        yield made
    finally:
        made("down", "--volumes", "--timeout", "30")


@pytest.fixture
def addresses(images: str, bare_database: str, redis_url: str) -> dict[str, str]:
    return {"database": bare_database, "redis": redis_url, "images": images}


@pytest.mark.timeout(START_SECONDS + 120)
def test_compose_brings_the_product_up_with_an_operators_settings(
    addresses: dict[str, str], compose: Any, compose_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    with project(compose, compose_folder, tmp_path, addresses, port) as up:
        up("up", "--detach", "--no-build")
        said = up("up", "--detach", "--no-build", "--wait", "--wait-timeout", str(START_SECONDS))
        assert said.count("Healthy") >= len(SERVICES), said
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=10) as answer:
            assert answer.status == 200
        created = up("run", "--rm", "kwe", "admin", "create-organization", "acme")
        assert "created" in created
        assert "kwe_" in up("run", "--rm", "kwe", "admin", "create-key", "--organization", "acme")
