"""SECRETS_SOURCE with the real clients, against local servers that speak as AWS Secrets Manager and Vault do."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigurationError
from common.settings import DatabaseSettings, GatewaySettings, OrchestratorSettings, read
from kwe.local.settings import local_environment

KEPT = {
    "JWT_SECRET": "j" * 40,
    "database_password": "a/b+c=",
    "REDIS_TLS": True,
    "PARTITIONS": 8,
    "SOMEBODY_ELSES": "ignored",
    "DATABASE_URL": "postgresql://kwe@db/kwe",
}


@dataclass
class Manager:
    """Both in one: they are told apart by how they are asked."""

    url: str = ""
    secret: Any = field(default_factory=lambda: json.dumps(KEPT))
    asked: list[Any] = field(default_factory=list)

    def aws(self, headers: Any, body: dict[str, Any]) -> tuple[int, Any]:
        signed = headers.get("Authorization", "").startswith(
            "AWS4-HMAC-SHA256 Credential=AKIATEST/"
        )
        target = headers.get("X-Amz-Target")
        self.asked.append(body)
        if not signed or target != "secretsmanager.GetSecretValue":
            return 400, {"__type": "InvalidRequestException", "message": "no"}
        if body["SecretId"] != "prod/kwe":
            return 400, {"__type": "ResourceNotFoundException", "message": "can't find it"}
        return 200, {"ARN": "arn:x", "Name": "prod/kwe", "SecretString": self.secret}

    def vault(self, path: str, headers: Any, body: dict[str, Any]) -> tuple[int, Any]:
        self.asked.append(path)
        if path in {"/v1/auth/approle/login", "/v1/auth/kubernetes/login"}:
            known = body in (
                {"role_id": "r", "secret_id": "s"},
                {"role": "kwe", "jwt": "service-account"},
            )
            return (
                (200, {"auth": {"client_token": "t"}}) if known else (403, {"errors": ["denied"]})
            )
        if headers.get("X-Vault-Token") != "t":
            return 403, {"errors": ["permission denied"]}
        if path != "/v1/secret/data/kwe/prod":
            return 404, {"errors": []}
        return 200, {"data": {"data": json.loads(self.secret), "metadata": {"version": 1}}}


@pytest.fixture
def manager() -> Iterator[Manager]:
    state = Manager()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*state.vault(self.path, self.headers, {}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if "X-Amz-Target" in self.headers:
                self._answer(*state.aws(self.headers, body))
            else:
                self._answer(*state.vault(self.path, self.headers, body))

        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def aws(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIATEST",
        "AWS_SECRET_ACCESS_KEY": "k",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": manager.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return {"SECRETS_SOURCE": "aws-sm:prod/kwe", "AWS_REGION": "eu-west-1"}


@pytest.fixture
def vault(manager: Manager) -> dict[str, str]:
    return {
        "SECRETS_SOURCE": "vault:secret/kwe/prod",
        "VAULT_ADDR": manager.url,
        "VAULT_TOKEN": "t",
    }


@pytest.mark.parametrize("kind", ["aws", "vault"])
def test_variables_come_from_the_manager(kind: str, request: pytest.FixtureRequest) -> None:
    environ = request.getfixturevalue(kind)
    settings = read(GatewaySettings, environ)
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == "j" * 40
    assert settings.database_dsn == "postgresql://kwe:a%2Fb%2Bc%3D@db/kwe"
    assert (settings.redis_tls, settings.partitions) == (True, 8)


def test_the_environment_wins_over_the_manager(vault: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-a-file")
    own = {"JWT_SECRET": "o" * 40, "DATABASE_PASSWORD_FILE": str(file), "PARTITIONS": ""}
    settings = read(GatewaySettings, {**vault, **own})
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == "o" * 40
    assert "from-a-file" in settings.database_dsn


def test_what_production_requires_may_come_from_the_manager(vault: dict[str, str]) -> None:
    environ = {**vault, "APP_ENV": "production", "REDIS_URL": "redis://redis/0"}
    assert read(OrchestratorSettings, environ).is_production


@pytest.mark.parametrize(
    "identity",
    [
        {"VAULT_ROLE_ID": "r", "VAULT_SECRET_ID": "s"},
        {"VAULT_ROLE": "kwe", "VAULT_JWT_FILE": "token"},
    ],
    ids=["approle", "kubernetes"],
)
def test_vault_is_logged_in_to_as_the_environment_says(
    vault: dict[str, str], identity: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("service-account\n")
    if "VAULT_JWT_FILE" in identity:
        identity = {**identity, "VAULT_JWT_FILE": str(tmp_path / "token")}
    del vault["VAULT_TOKEN"]
    assert read(GatewaySettings, {**vault, **identity}).jwt_secret is not None


@pytest.mark.parametrize(
    ("kind", "changed", "said"),
    [
        ("aws", {"SECRETS_SOURCE": "aws-sm:prod/other"}, "ResourceNotFoundException for prod/other"),
        ("vault", {"SECRETS_SOURCE": "vault:secret/other"}, "InvalidPath for secret/other"),
        ("vault", {"VAULT_TOKEN": "wrong"}, "Vault answered Forbidden"),
        ("vault", {"VAULT_TOKEN": ""}, "set VAULT_TOKEN"),
        ("vault", {"VAULT_TOKEN": "", "VAULT_ROLE": "kwe", "VAULT_JWT_FILE": "/no"}, "service account"),
        ("vault", {"VAULT_ADDR": "http://127.0.0.1:1"}, "cannot be reached"),
        ("vault", {"VAULT_ADDR": ""}, "VAULT_ADDR is not set"),
        ("vault", {"SECRETS_SOURCE": "vault:secret"}, "should look like"),
        ("vault", {"SECRETS_SOURCE": "keyring"}, "should look like"),
    ],
)  # fmt: skip
def test_a_manager_that_cannot_be_used_is_one_line(
    kind: str, changed: dict[str, str], said: str, request: pytest.FixtureRequest
) -> None:
    environ = {**request.getfixturevalue(kind), **changed}
    with pytest.raises(ConfigurationError, match=said) as refused:
        read(GatewaySettings, environ)
    assert "\n" not in refused.value.detail
    assert refused.value.detail.startswith("SECRETS_SOURCE cannot be used: ")


def test_a_secret_that_is_no_object_is_refused(aws: dict[str, str], manager: Manager) -> None:
    for secret in ("plain text", '["a list"]'):
        manager.secret = secret
        with pytest.raises(ConfigurationError, match="JSON object"):
            read(GatewaySettings, aws)


def test_aws_that_is_away_is_one_line(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    with pytest.raises(
        ConfigurationError, match="AWS Secrets Manager cannot be reached"
    ) as refused:
        read(GatewaySettings, aws)
    assert "\n" not in refused.value.detail


def test_a_service_ends_with_code_2_and_no_traceback(vault: dict[str, str]) -> None:
    environ = {**vault, "VAULT_ADDR": "http://127.0.0.1:1"}
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("SECRETS_SOURCE cannot be used: Vault at http://127.0.0.1:1")
    assert ended.stderr.count("\n") == 1


def test_the_clients_are_imported_only_when_they_are_asked_for() -> None:
    program = (
        "import sys, common.settings as s; s.read(s.GatewaySettings, {}); "
        "print({'boto3', 'hvac', 'requests'} & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "set()"


def test_commands_find_the_database_there_too(vault: dict[str, str], tmp_path: Path) -> None:
    environ = local_environment(vault, start=tmp_path)
    assert read(DatabaseSettings, environ).database_dsn == "postgresql://kwe:a%2Fb%2Bc%3D@db/kwe"
