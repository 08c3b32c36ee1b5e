"""What is backed up comes back, and what must not be restored is refused before anything has changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from kwe.backup.places import name_at


@pytest.fixture
def other(bare_database: str) -> str:
    return bare_database


def test_a_backup_restores_every_row_into_an_empty_database(
    kwe: Any, auditor: Any, database: str, other: str, tmp_path: Path
) -> None:
    auditor.fill(database)

    taken = kwe(database, "backup", "--to", tmp_path, "-o", "json").json
    restored = kwe(other, "restore", tmp_path, "-o", "json").json

    assert restored == {"name": taken["name"], "pendingMigrations": [], "redisTold": False}
    contents = auditor.contents(database)
    assert contents["workflow.organizations"] == 1
    assert auditor.contents(other) == contents
    mark = auditor.value(other, "SELECT redis_generation FROM workflow.installation")
    assert mark.startswith("restored:")


def test_the_checksum_file_is_one_that_sha256sum_reads(
    kwe: Any, database: str, tmp_path: Path
) -> None:
    taken = kwe(database, "backup", "--to", tmp_path, "-o", "json").json

    check = subprocess.run(
        ["sha256sum", "-c", f"{taken['name']}.sha256"], cwd=tmp_path, check=False
    )

    assert check.returncode == 0
    file = tmp_path / taken["name"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == taken["sha256"]
    assert oct(file.stat().st_mode & 0o777) == "0o600"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [file.name, f"{file.name}.sha256"]


def test_a_damaged_backup_is_refused_and_nothing_is_touched(
    kwe: Any, auditor: Any, database: str, tmp_path: Path
) -> None:
    auditor.fill(database)
    taken = kwe(database, "backup", "--to", tmp_path, "-o", "json").json
    file = tmp_path / taken["name"]
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    before = auditor.contents(database)

    said = kwe(database, "restore", file, "--replace")

    assert said.code == 2
    assert "checksum differs" in said.err
    assert auditor.contents(database) == before


def test_a_database_that_is_not_empty_is_replaced_only_when_told(
    kwe: Any, auditor: Any, database: str, tmp_path: Path
) -> None:
    kwe(database, "backup", "--to", tmp_path)
    auditor.fill(database)

    refused = kwe(database, "restore", tmp_path)
    assert refused.code == 2
    assert "--replace" in refused.err
    assert auditor.value(database, "SELECT count(*) FROM workflow.organizations") == 1

    assert kwe(database, "restore", tmp_path, "--replace").code == 0
    assert auditor.value(database, "SELECT count(*) FROM workflow.organizations") == 0


def test_tables_of_others_are_never_deleted(
    kwe: Any, auditor: Any, database: str, tmp_path: Path
) -> None:
    kwe(database, "backup", "--to", tmp_path)
    auditor.fetch(database, "CREATE TABLE public.ledger (amount integer)")

    said = kwe(database, "restore", tmp_path, "--replace")

    assert said.code == 2
    assert "public.ledger" in said.err


def test_a_restore_is_refused_while_a_service_is_connected(
    kwe: Any, database: str, other: str, tmp_path: Path, fixture_loop: Any
) -> None:
    kwe(database, "backup", "--to", tmp_path)
    settings = {"application_name": "kwe-executor"}
    service = fixture_loop.run(asyncpg.connect(other, server_settings=settings))
    try:
        said = kwe(other, "restore", tmp_path)
    finally:
        fixture_loop.run(service.close())

    assert said.code == 2
    assert "kwe-executor" in said.err
    assert "stop all of them" in said.err


def test_a_pg_dump_older_than_the_server_is_refused(
    kwe: Any, database: str, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for program in ("pg_dump", "pg_restore"):
        (old / program).write_text(f"#!/bin/sh\necho '{program} (PostgreSQL) 9.6.24'\n")
        (old / program).chmod(0o755)

    said = kwe(database, "backup", "--to", tmp_path, "--programs", old)

    assert said.code == 2
    assert "pg_dump 9 is older than the server" in said.err
    assert "postgresql-client-" in said.err


def test_a_place_that_cannot_be_written_is_one_sentence(
    kwe: Any, database: str, tmp_path: Path
) -> None:
    taken = tmp_path / "backups"
    taken.write_text("a file where a folder should be")

    said = kwe(database, "backup", "--to", taken)

    assert said.code == 2
    assert said.err.count("\n") == 1
    assert f"{taken} cannot be used" in said.err


def test_a_folder_without_a_backup_is_one_sentence(kwe: Any, other: str, tmp_path: Path) -> None:
    said = kwe(other, "restore", tmp_path)

    assert said.code == 2
    assert "holds no backup" in said.err


def test_old_backups_go_and_the_newest_stays(kwe: Any, database: str, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    old, young = name_at(now - timedelta(days=9)), name_at(now - timedelta(days=3))
    interrupted = name_at(now - timedelta(days=30))
    left = tmp_path / ".kwe-backup-killed"
    left.mkdir()
    os.utime(left, (0, 0))
    for name in (old, f"{old}.sha256", young, f"{young}.sha256", interrupted, "notes.txt"):
        (tmp_path / name).write_text("")

    taken = kwe(database, "backup", "--to", tmp_path, "-o", "json").json

    assert taken["removed"] == [old]
    kept = {entry.name for entry in tmp_path.iterdir()}
    assert kept == {
        *(young, f"{young}.sha256", taken["name"], f"{taken['name']}.sha256"),
        *(interrupted, "notes.txt"),
    }


def test_s3_compatible_storage_holds_backups_like_a_folder(
    kwe: Any, auditor: Any, database: str, other: str, bucket: str
) -> None:
    auditor.fill(database)
    place = f"s3://{bucket}/production"

    taken = kwe(database, "backup", "--to", place, "-o", "json").json
    assert taken["place"] == f"{place}/{taken['name']}"
    assert kwe(other, "restore", place).code == 0

    assert auditor.contents(other) == auditor.contents(database)


def test_a_bucket_that_is_not_there_is_one_sentence(kwe: Any, database: str, bucket: str) -> None:
    said = kwe(database, "backup", "--to", "s3://nobodys-bucket/x")

    assert said.code == 2
    assert said.err.count("\n") == 1
    assert "s3://nobodys-bucket/x" in said.err
