"""`kwe secrets generate` writes files that the services can read, and nobody else."""

import json
import os
import stat
from pathlib import Path

import pytest

from common.settings import GatewaySettings, read
from kwe.cli.main import run

NAMES = ("jwt_secret", "database_password", "redis_password", "encryption_key")


def test_the_services_can_be_started_with_what_it_wrote(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "secrets"
    assert run(["secrets", "generate", str(folder)]) == 0
    environ = {
        "APP_ENV": "production",
        "DATABASE_URL": "postgresql://kwe@postgres/kwe",
        "REDIS_URL": "redis://redis/0",
    }
    environ |= {f"{name.upper()}_FILE": str(folder / name) for name in NAMES}
    settings = read(GatewaySettings, environ)
    assert settings.encryption_key is not None
    password = (folder / "database_password").read_text()
    assert settings.database_dsn == f"postgresql://kwe:{password}@postgres/kwe"


def test_only_the_owner_can_read_them_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    before = os.umask(0)
    try:
        assert run(["secrets", "generate", str(folder)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in NAMES} == {0o600}


def test_what_exists_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "jwt_secret").write_text("mine")
    (tmp_path / "jwt_secret").chmod(0o644)
    assert run(["secrets", "generate", "-o", "json", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert {one["variable"]: one["created"] for one in json.loads(said.out)} == {
        "JWT_SECRET": False,
        "DATABASE_PASSWORD": True,
        "REDIS_PASSWORD": True,
        "ENCRYPTION_KEY": True,
    }
    assert (tmp_path / "jwt_secret").read_text() == "mine"
    assert "can be read by others" in said.err
    before = {name: (tmp_path / name).read_bytes() for name in NAMES}
    assert run(["secrets", "generate", str(tmp_path)]) == 0
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == before


def test_no_secret_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["secrets", "generate", str(tmp_path)]) == 0
    said = capsys.readouterr()
    for name in NAMES:
        assert (tmp_path / name).read_text() not in said.out + said.err


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["secrets", "generate", str(tmp_path / "file" / "secrets")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "choose a folder" in said


def test_an_empty_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "redis_password").touch(mode=0o600)
    assert run(["secrets", "generate", str(tmp_path)]) == 2
    assert "redis_password is empty" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_files_may_be_given_to_the_user_of_the_containers(tmp_path: Path) -> None:
    assert run(["secrets", "generate", "--owner", "10001", str(tmp_path)]) == 0
    assert {(tmp_path / name).stat().st_uid for name in NAMES} == {10001}
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in NAMES} == {0o600}
