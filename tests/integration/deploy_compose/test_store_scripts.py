"""What the containers of the stores run at their start, run here: on servers from wheels, with awkward passwords."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from nginx_stand import free_port, until
from redis import Redis
from redis.exceptions import RedisError

from embedded import EmbeddedPostgres
from embedded.binaries import postgres_programs, valkey_server
from embedded.identity import Identity, unprivileged

PASSWORD = 'a"b\\c:d/+=@'
PRIMARY = {"wal_level": "replica", "max_wal_senders": "4", "max_replication_slots": "4"}


@contextmanager
def script(
    path: Path, environ: Mapping[str, str], programs: Path, identity: Identity
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*identity.prefix, "sh", str(path)],
        env={"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C", **environ},
        user=identity.uid or None,
        cwd="/",
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def test_valkey_starts_with_its_password_in_a_file_and_not_in_its_arguments(
    compose_folder: Path, tmp_path: Path
) -> None:
    port, source = free_port(), compose_folder / "valkey"
    (tmp_path / "secret").write_text(f"{PASSWORD}\n")
    settings = (source / "valkey.conf").read_text()
    settings = settings.replace("dir /data", f"dir {tmp_path}\nport {port}\nbind 127.0.0.1")
    settings = settings.replace("/run/valkey/password.conf", str(tmp_path / "password.conf"))
    (tmp_path / "valkey.conf").write_text(settings)
    environ = {
        "PASSWORD_FILE": str(tmp_path / "secret"),
        "PASSWORD_CONFIG": str(tmp_path / "password.conf"),
        "CONFIG": str(tmp_path / "valkey.conf"),
        "ENTRYPOINT": "env",
    }
    with (
        script(source / "start.sh", environ, valkey_server().parent, Identity()) as process,
        Redis(port=port, password=PASSWORD, retry=None) as redis,
    ):

        def answers() -> bool:
            with contextlib.suppress(RedisError):
                return bool(redis.ping())
            return False

        until(answers, "Valkey accepts its password")
        assert redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert redis.config_get("appendonly") == {"appendonly": "yes"}
        assert PASSWORD.encode() not in Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert (tmp_path / "password.conf").stat().st_mode & 0o077 == 0


def test_valkey_does_not_start_without_a_password(compose_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    done = subprocess.run(
        ["sh", str(compose_folder / "valkey/start.sh")],
        env={"PATH": os.environ["PATH"], "PASSWORD_FILE": str(tmp_path / "secret")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == f"{tmp_path}/secret is empty: write the password into it\n"


@pytest.fixture
def open_folder(server_folder: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="replica-", dir=server_folder))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def primary(open_folder: Path, compose_folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    shutil.copy(compose_folder / "replica/pg_hba.conf", open_folder / "pg_hba.conf")
    settings = {**PRIMARY, "hba_file": str(open_folder / "pg_hba.conf")}
    server = EmbeddedPostgres(open_folder / "primary", settings=settings)
    await server.start()
    yield server
    await server.stop()


def scripts_environment(folder: Path, primary: EmbeddedPostgres) -> dict[str, str]:
    password = (folder / "primary/password").read_text()
    for name, text in (("database", password), ("replication", f"{PASSWORD}\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(primary.port),
        "PGUSER": "kwe",
        "PGDATABASE": "kwe",
        "DATABASE_PASSWORD_FILE": str(folder / "database"),
        "REPLICATION_PASSWORD_FILE": str(folder / "replication"),
    }


async def connected(dsn: str) -> asyncpg.Connection:
    for _ in range(300):
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return await asyncpg.connect(dsn)
        await asyncio.sleep(0.1)
    raise AssertionError("the replica never answered")


async def value_on(dsn: str, expected: int) -> Any:
    connection = await connected(dsn)
    try:
        assert await connection.fetchval("SELECT pg_is_in_recovery()")
        for _ in range(300):
            with contextlib.suppress(asyncpg.UndefinedTableError):
                if await connection.fetchval("SELECT sum(n) FROM numbers") == expected:
                    return expected
            await asyncio.sleep(0.05)
        raise AssertionError("the replica never caught up")
    finally:
        await connection.close()


async def test_a_replica_copies_the_primary_once_and_follows_it(
    primary: EmbeddedPostgres, open_folder: Path, compose_folder: Path
) -> None:
    scripts, identity = compose_folder / "replica", unprivileged()
    environ = scripts_environment(open_folder, primary)
    for _ in range(2):
        with script(scripts / "role.sh", environ, postgres_programs(), Identity()) as role:
            assert await asyncio.to_thread(role.wait, 30) == 0
    data = open_folder / "replica"
    data.mkdir(mode=0o700)
    (data / "left-behind").write_text("by a copy that was interrupted")
    identity.own(data)
    (open_folder / "tmp").mkdir()
    (open_folder / "tmp").chmod(0o777)
    replica_port = free_port()
    environ |= {
        "PGDATA": str(data),
        "PRIMARY_HOST": "127.0.0.1",
        "PRIMARY_PORT": str(primary.port),
        "PGPORT": str(replica_port),
        "TMPDIR": str(open_folder / "tmp"),
    }
    kwe = quote((open_folder / "primary/password").read_text().strip(), safe="")
    replica = f"postgresql://kwe:{kwe}@127.0.0.1:{replica_port}/kwe"
    writer = await asyncpg.connect(primary.dsn)
    await writer.execute("CREATE TABLE numbers AS SELECT 1 AS n")
    with script(scripts / "replica.sh", environ, postgres_programs(), identity):
        await value_on(replica, 1)
        assert not (data / "left-behind").exists()
        await writer.execute("INSERT INTO numbers VALUES (2)")
        await value_on(replica, 3)
    await writer.execute("INSERT INTO numbers VALUES (4)")
    created = (data / "PG_VERSION").stat().st_ino
    with script(scripts / "replica.sh", environ, postgres_programs(), identity):
        await value_on(replica, 7)
    assert (data / "PG_VERSION").stat().st_ino == created
    await writer.close()
