"""Parts of backing up that need no server: what old is, which programs fit, what libpq is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from common.errors import ConfigurationError
from common.settings import DatabaseSettings
from kwe.backup import programs
from kwe.backup.places import CHECKSUM, Backup, complete, name_at, place_of
from kwe.backup.taking import expired

NOW = datetime(2025, 1, 31, 2, tzinfo=UTC)


def aged(*days: int) -> list[Backup]:
    return [Backup(NOW - timedelta(days=each), name_at(NOW)) for each in days]


def test_the_newest_backup_is_never_old_enough_to_go() -> None:
    backups = aged(30, 8, 7, 1)

    assert expired(backups, 7, NOW) == backups[:2]
    assert expired(aged(30), 7, NOW) == []


def test_a_dump_without_its_checksum_is_no_backup() -> None:
    names = [name_at(NOW), f"{name_at(NOW)}{CHECKSUM}", name_at(NOW - timedelta(days=1)), "other"]

    assert complete(names) == [Backup(NOW, "kwe-20250131T020000Z.dump")]


def test_a_bucket_needs_a_name() -> None:
    with pytest.raises(ConfigurationError, match="names no bucket"):
        place_of("s3://")


def settings(**given: object) -> DatabaseSettings:
    url = SecretStr("postgresql://kwe:a%2Fb%40c@db:5433/kwe?sslmode=disable")
    return DatabaseSettings.model_validate({"database_url": url, **given})


def test_the_password_is_in_no_argument() -> None:
    plain = settings()

    assert programs.address(plain) == "postgresql://kwe@db:5433/kwe?sslmode=disable"
    assert programs.connection_variables(plain)["PGPASSWORD"] == "a/b@c"


def test_what_the_settings_say_about_tls_wins_over_the_url() -> None:
    strict = settings(database_ssl="verify-full")

    assert programs.address(strict) == "postgresql://kwe@db:5433/kwe"
    variables = programs.connection_variables(strict)
    assert variables["PGSSLMODE"] == "verify-full"
    assert variables["PGSSLROOTCERT"] == "system"


def fake(folder: Path, version: str) -> Path:
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


async def test_a_program_as_new_as_the_server_fits(tmp_path: Path) -> None:
    folder = fake(tmp_path / "17", "17.2 (Debian 17.2-1)")

    assert await programs.fitting(17, given=folder) == programs.Programs(folder, 17)
    with pytest.raises(ConfigurationError, match="pg_dump 17 is older than the server"):
        await programs.fitting(18, given=folder)


async def test_a_folder_without_programs_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no pg_dump for PostgreSQL 17 in"):
        await programs.fitting(17, given=tmp_path)


async def test_a_script_that_breaks_off_is_not_committed(tmp_path: Path) -> None:
    """`psql` commits at the end of its input, so it must not see one."""
    folder, seen = tmp_path / "tools", tmp_path / "seen"
    folder.mkdir()
    (folder / "psql").write_text(
        f"#!/bin/sh\nwhile read line; do :; done\necho committed > {seen}\n"
    )
    (folder / "psql").chmod(0o755)
    tools = programs.Programs(folder, 18)

    await programs.pipe_into_psql(tools, ["/bin/sh", "-c", "echo 'SELECT 1;'"], settings())
    assert seen.read_text() == "committed\n"
    seen.unlink()
    with pytest.raises(ConfigurationError, match="psql failed"):
        await programs.pipe_into_psql(tools, ["/bin/sh", "-c", "echo x; exit 1"], settings())
    assert not seen.exists()


async def test_what_servers_before_17_do_not_know_is_left_out_of_the_script_only(
    tmp_path: Path,
) -> None:
    folder, seen = tmp_path / "tools", tmp_path / "seen"
    folder.mkdir()
    (folder / "psql").write_text(f"#!/bin/sh\ncat > {seen}\n")
    (folder / "psql").chmod(0o755)
    line = "SET transaction_timeout = 0;\n"
    script = f"SET a = 0;\n{line}{'-' * programs.HEAD_BYTES}\n{line}"
    (tmp_path / "script").write_text(script)

    tools = programs.Programs(folder, 18)
    await programs.pipe_into_psql(tools, ["/bin/cat", str(tmp_path / "script")], settings())

    assert seen.read_text() == script.replace(line, "", 1)
