"""An operator's `.env.production` beside compose.yaml: every service accepts what the two come to together."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from common.settings import read
from common.settings.services import SERVICES

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {
    "database_password": "a/b+c=d@e",
    "redis_password": "another",
    "jwt_secret": "a-secret-that-is-long-enough-for-hs256",
    "encryption_key": base64.b64encode(bytes(32)).decode(),
}
REPLICA = "postgresql://kwe@postgres-replica:5432/kwe"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    for name, text in SECRETS.items():
        (tmp_path / name).write_text(f"{text}\n")
    return tmp_path


def example() -> dict[str, str]:
    """`.env.production.example` with its placeholders left in place."""
    lines = (ROOT / ".env.production.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def in_compose(service: str, secrets: Path) -> dict[str, str]:
    compose: Any = YAML(typ="safe", pure=True).load(
        (ROOT / "deploy/compose/compose.yaml").read_text()
    )
    given = compose["services"][service]["environment"]
    return {
        name: value.replace("/run/secrets", str(secrets)) if name.endswith("_FILE") else value
        for name, value in given.items()
    }


@pytest.mark.parametrize("service", ["gateway", "orchestrator", "executor", "knowledge"])
def test_a_service_accepts_the_example_in_compose(service: str, secrets: Path) -> None:
    environ = example() | {"LLM_PROVIDER": "extractive"} | in_compose(service, secrets)
    settings: Any = read(SERVICES[service], environ)
    assert settings.database_dsn == "postgresql://kwe:a%2Fb%2Bc%3Dd%40e@postgres:5432/kwe"
    assert settings.redis_dsn == "redis://:another@valkey:6379/0"


@pytest.mark.parametrize("service", ["gateway", "orchestrator", "executor", "knowledge"])
def test_servers_and_certificates_of_elsewhere_do_not_disturb_it(
    service: str, secrets: Path
) -> None:
    elsewhere = {
        "DATABASE_URL": "postgresql://kwe:secret@db.example.com/kwe",
        "DATABASE_READ_URL": "postgresql://kwe:secret@replica.example.com/kwe",
        "DATABASE_SSL": "verify-full",
        "DATABASE_SSL_ROOT_CERT": "/etc/ssl/ours.pem",
        "REDIS_TLS": "true",
        "ENCRYPTION_KEY": base64.b64encode(bytes(range(32))).decode(),
        "HOST": "127.0.0.1",
        "METRICS_PORT": "9999",
        "LLM_PROVIDER": "extractive",
    }
    settings: Any = read(SERVICES[service], example() | elsewhere | in_compose(service, secrets))
    assert "@postgres:5432" in settings.database_dsn
    assert settings.metrics_port == 9090
    assert settings.host == "0.0.0.0"


def test_a_key_in_the_file_chooses_its_provider(secrets: Path) -> None:
    environ = example() | {"OPENAI_API_KEY": "sk-test"} | in_compose("executor", secrets)
    settings: Any = read(SERVICES["executor"], environ)
    assert settings.llm_provider in {None, "openai"}


def test_the_gateway_asks_the_replica_with_the_password_of_the_primary(secrets: Path) -> None:
    environ = example() | in_compose("gateway", secrets) | {"DATABASE_READ_URL": REPLICA}
    settings: Any = read(SERVICES["gateway"], environ)
    dsn = settings.database_dsn_of(settings.database_read_url)
    assert dsn == "postgresql://kwe:a%2Fb%2Bc%3Dd%40e@postgres-replica:5432/kwe"
