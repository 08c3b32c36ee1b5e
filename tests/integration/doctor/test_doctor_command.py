"""`kwe doctor` where services run, or could: what it finds, what it advises, how it ends."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded import EmbeddedValkey
from kwe.cli.main import run
from kwe.local import examination

Found = dict[str, list[dict[str, Any]]]


class Doctor:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.code = -1
        self.said = ""

    def examine(self, *arguments: str) -> Found:
        self._capsys.readouterr()
        self.code = run(["doctor", "-o", "json", *arguments])
        said = self._capsys.readouterr()
        self.said = said.out + said.err
        found: Found = {}
        for one in json.loads(said.out):
            found.setdefault(one["check"], []).append(one)
        return found

    def read(self, *arguments: str) -> str:
        self._capsys.readouterr()
        self.code = run(["doctor", *arguments])
        said = self._capsys.readouterr()
        return said.out + said.err


@pytest.fixture
def doctor(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Doctor:
    """Away from any `.kwe`, and without a variable of ours."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("KWE_", "DATABASE_", "REDIS_", "APP_ENV", "SECRETS_", "JWT_")):
            monkeypatch.delenv(name)
    return Doctor(capsys)


@pytest.fixture
def servers(doctor: Doctor, database: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("REDIS_URL", redis_url)


@pytest.fixture
def careless(server_folder: Path, fixture_loop: Any) -> Iterator[str]:
    settings = {"maxmemory-policy": "allkeys-lfu", "appendonly": "no", "save": '""'}
    server = EmbeddedValkey(server_folder / "careless", settings=settings)
    fixture_loop.run(server.start())
    yield server.url
    fixture_loop.run(server.stop())


def levels(found: Found) -> dict[str, str]:
    return {check: ones[0]["level"] for check, ones in found.items()}


@pytest.mark.usefixtures("servers")
def test_a_good_installation_ends_with_0(doctor: Doctor) -> None:
    found = doctor.examine()
    assert doctor.code == 0, doctor.said
    found.pop("memory limit", None)  # there is one where the tests run in a container
    assert levels(found) == {
        "versions": "ok",
        "temporary files": "ok",
        "settings": "ok",
        "database version": "ok",
        "database writes": "ok",
        "database clock": "ok",
        "pgvector": "ok",
        "migrations": "ok",
        "connections": "ok",
        "redis version": "ok",
        "redis eviction": "ok",
        "redis persistence": "ok",
        "redis memory": "ok",
        "redis clock": "ok",
        "streams": "warning",  # nothing was started yet
        "credentials": "warning",
    }
    assert "start the services" in found["streams"][0]["remedy"]


@pytest.mark.usefixtures("servers")
def test_people_get_a_line_for_each_check_and_one_for_its_remedy(doctor: Doctor) -> None:
    text = doctor.read()
    assert doctor.code == 0
    assert "✓ pgvector" in text
    assert "→ start the services" in text


def test_what_is_wrong_comes_with_its_remedy(
    doctor: Doctor, bare_database: str, careless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", bare_database)
    monkeypatch.setenv("REDIS_URL", careless)
    found = doctor.examine()
    assert doctor.code == 1
    assert found["migrations"][0]["level"] == "problem"
    assert found["migrations"][0]["remedy"] == "run `kwe migrate`"
    assert found["pgvector"][0]["level"] == "warning"
    assert "set maxmemory-policy to noeviction" in found["redis eviction"][0]["remedy"]
    assert "set appendonly yes" in found["redis persistence"][0]["remedy"]


def test_servers_that_are_away_are_named_and_the_rest_is_looked_at(
    doctor: Doctor, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://kwe:hunter2@127.0.0.1:1/kwe")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    found = doctor.examine()
    assert doctor.code == 1
    assert "nothing listens there" in found["database"][0]["detail"]
    assert "Redis does not answer" in found["redis"][0]["detail"]
    assert "hunter2" not in doctor.said


def test_a_file_of_variables_is_judged_for_every_service(doctor: Doctor, tmp_path: Path) -> None:
    file = tmp_path / ".env.production"
    file.write_text(
        "# of the deployment\n"
        "APP_ENV=production\n"
        'DATABASE_URL="postgresql://kwe:pa/ss@127.0.0.1:1/kwe"\n'
        "export JWT_SECRET=short   # too short\n"
        "PORT=many\n"
        "MAX_MEMORY_MB=512\n"
    )
    found = doctor.examine("--env-file", str(file))
    said = {one["detail"]: one["remedy"] for one in found["settings"]}
    assert doctor.code == 1
    assert "REDIS_URL is required in production" in said
    assert said["LLM_PROVIDER is required in production when neither OPENAI_API_KEY nor "
                "ANTHROPIC_API_KEY is set (extractive needs no key)"].endswith("(executor)")  # fmt: skip
    assert any(line.startswith("JWT_SECRET: ") for line in said)
    assert any(line.startswith("PORT: ") for line in said)
    assert "127.0.0.1:1 cannot be used" in found["database"][0]["detail"]
    assert "pa/ss" not in doctor.said


@pytest.mark.usefixtures("servers")
def test_secret_files_that_everybody_can_read_are_warned_of(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "jwt"
    file.write_text("j" * 40)
    file.chmod(0o644)
    monkeypatch.setenv("JWT_SECRET_FILE", str(file))
    found = doctor.examine()
    assert doctor.code == 0
    assert found["secret files"][0]["remedy"] == f"chmod 600 {file}"


def test_a_secret_manager_that_is_away_is_a_problem(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRETS_SOURCE", "vault:secret/kwe")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    monkeypatch.setenv("VAULT_TOKEN", "t")
    found = doctor.examine()
    assert doctor.code == 1
    assert "Vault at http://127.0.0.1:1 cannot be reached" in found["settings"][0]["detail"]


@pytest.mark.usefixtures("servers")
def test_a_replica_that_is_none_and_one_that_is_away_are_told_apart(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_READ_URL", os.environ["DATABASE_URL"])
    assert "is no standby" in doctor.examine()["read replica"][0]["detail"]
    assert doctor.code == 0
    monkeypatch.setenv("DATABASE_READ_URL", "postgresql://kwe@127.0.0.1:1/kwe")
    assert "correct DATABASE_READ_URL" in doctor.examine()["read replica"][0]["remedy"]
    assert doctor.code == 1


def test_where_nothing_is_known_the_credentials_are_asked_for(doctor: Doctor) -> None:
    found = doctor.examine()
    assert doctor.code == 4
    assert list(found) == ["credentials"]
    doctor.read()
    assert doctor.code == 4, "the same for people as for programs"


@pytest.mark.parametrize(
    ("limit", "level"), [("536870912", "warning"), ("2147483648", "ok"), ("max", None)]
)
def test_a_container_must_have_room_for_a_script(
    tmp_path: Path, limit: str, level: str | None
) -> None:
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    found = list(examination._memory({"MAX_MEMORY_MB": "512"}, tmp_path))
    assert [one.level.value for one in found] == ([level] if level else [])
