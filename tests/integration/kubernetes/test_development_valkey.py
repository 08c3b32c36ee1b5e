"""The Valkey of the development overlay, started by the pod's own command with the pod's own configuration."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, OutOfMemoryError
from redis.exceptions import ConnectionError as NotThere
from ruamel.yaml import YAML

from embedded.binaries import valkey_server

MANIFEST = Path(__file__).resolve().parents[3] / "deploy/k8s/components/stores/valkey.yaml"
PASSWORD = 'a/b+c=d@e"f\\g'
PATIENCE_S = 20


def objects() -> dict[str, Any]:
    return {each["kind"]: each for each in YAML(typ="safe", pure=True).load_all(MANIFEST)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Started as the pod starts it, with its folders moved below one of ours."""
    moved = {
        "/etc/valkey": tmp_path / "etc",
        "/run/valkey": tmp_path / "run",
        "/data": tmp_path / "data",
    }
    for folder in moved.values():
        folder.mkdir()
    [container] = objects()["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert {each["mountPath"] for each in container["volumeMounts"]} == moved.keys()

    def here(text: str) -> str:
        return re.sub("|".join(moved), lambda found: str(moved[found[0]]), text)

    number = free_port()
    settings = here(objects()["ConfigMap"]["data"]["valkey.conf"])
    (moved["/etc/valkey"] / "valkey.conf").write_text(
        f"{settings}\nport {number}\nbind 127.0.0.1\n"
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "valkey-server").symlink_to(valkey_server())
    environment = {"PATH": f"{programs}:{os.defpath}", "REDIS_PASSWORD": PASSWORD}
    command = [here(word) for word in container["command"]]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    yield number
    process.terminate()
    assert process.wait(PATIENCE_S) == 0, "SIGTERM reaches the server, which saves and leaves"


def connected(port: int) -> Redis:
    client = Redis(port=port, password=PASSWORD)
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            client.ping()
        except NotThere:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        else:
            return client


def test_it_asks_for_the_password_and_refuses_instead_of_forgetting(port: int) -> None:
    with connected(port) as client:
        settings = client.config_get("maxmemory-policy", "appendonly", "maxmemory")
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["appendonly"] == "yes"
        client.config_set("maxmemory", 1)
        with pytest.raises(OutOfMemoryError):
            client.xadd("kwe:tasks:{q:x}", {"m": "1"})
    with Redis(port=port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def test_it_refuses_before_its_container_is_killed() -> None:
    [container] = objects()["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    [megabytes] = re.findall(
        r"^maxmemory (\d+)mb$", objects()["ConfigMap"]["data"]["valkey.conf"], re.MULTILINE
    )
    assert int(megabytes) <= 700, "rewriting its file may take the rest"
