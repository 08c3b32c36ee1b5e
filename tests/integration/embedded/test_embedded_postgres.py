"""The embedded PostgreSQL: durable, private, and able to start after any kind of end."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import pytest

from embedded import EmbeddedError, EmbeddedPostgres, FolderBusy, PortTaken
from embedded.binaries import postgres_programs
from embedded.folder import processes_in
from embedded.identity import NOBODY, Identity
from embedded.ports import HOST, free_port


class Loop(Protocol):
    """Of tests/conftest.py."""

    def run(self, work: Coroutine[Any, Any, None]) -> None: ...


OWNER = """
import asyncio, sys, time
from pathlib import Path
from embedded import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    await server.start()
    print(server.port, flush=True)
    time.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def folder(server_folder: Path) -> Iterator[Path]:
    own = Path(tempfile.mkdtemp(dir=server_folder))
    own.chmod(0o711)
    yield own / "postgres"
    shutil.rmtree(own)


@pytest.fixture(scope="module")
def created(fixture_loop: Loop, server_folder: Path, ports: Any) -> Path:
    """The folder of a server that was created and stopped, to copy: creating one takes a second."""
    server = EmbeddedPostgres(ports.keep_for(server_folder / "created"))
    fixture_loop.run(server.start())
    fixture_loop.run(server.stop())
    return server_folder / "created"


@pytest.fixture
def with_data(created: Path, folder: Path) -> Path:
    """The folder of a server that has been stopped."""
    shutil.copytree(created, folder)
    return folder


@pytest.fixture
async def server(with_data: Path) -> AsyncIterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(with_data)
    await server.start()
    yield server
    await server.stop()


def start_and_kill_an_owner(folder: Path) -> None:
    """Another process starts the server, and is killed once the server answers."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, folder], stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline()
    finally:
        owner.kill()
        owner.communicate()


def user_of(pid: int | None) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


async def query(server: EmbeddedPostgres, *statements: str) -> object:
    """Run the statements; the value of the last one."""
    connection = await asyncpg.connect(server.dsn)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def write_a_row(server: EmbeddedPostgres) -> None:
    await query(server, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (42)")


async def row(server: EmbeddedPostgres) -> object:
    return await query(server, "SELECT n FROM kept")


async def test_committed_data_survives_kill_9_and_the_port_stays(server: EmbeddedPostgres) -> None:
    await write_a_row(server)
    port, pid = server.port, server.pid
    await server.kill()
    assert not server.running
    await server.start()
    assert (await row(server), server.port) == (42, port)
    assert server.pid != pid


async def test_a_restart_keeps_the_data(server: EmbeddedPostgres) -> None:
    await write_a_row(server)
    await server.restart()
    assert await row(server) == 42


async def test_starting_and_stopping_twice_is_harmless(server: EmbeddedPostgres) -> None:
    pid = server.pid
    await server.start()
    assert server.pid == pid
    await server.stop()
    await server.stop()
    assert server.pid is None


async def test_it_is_durable_and_brings_the_extensions_we_need(server: EmbeddedPostgres) -> None:
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await query(server, f"SHOW {name}") == "on"
    await query(server, "CREATE EXTENSION vector", "CREATE EXTENSION pg_trgm")
    assert await query(server, "SELECT '[1,2]'::vector <-> '[1,2]'::vector") == 0


async def test_nobody_gets_in_without_the_password(server: EmbeddedPostgres, folder: Path) -> None:
    assert (folder / "password").stat().st_mode & 0o777 == 0o600
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.dsn.replace(":", ":x", 2).replace(":x//", "://", 1))


async def test_what_a_dead_owner_left_running_is_replaced(with_data: Path) -> None:
    start_and_kill_an_owner(with_data)
    server = EmbeddedPostgres(with_data)
    await server.start()
    try:
        assert await query(server, "SELECT 1") == 1
        leaders = [one.pid for one in processes_in(with_data / "cluster", "postgres") if one.leads]
        assert leaders == [server.pid]
    finally:
        await server.stop()


async def test_a_folder_has_one_owner(server: EmbeddedPostgres, folder: Path) -> None:
    second = EmbeddedPostgres(folder)
    with pytest.raises(FolderBusy, match=str(os.getpid())):
        await second.start()
    await second.stop()
    assert await query(server, "SELECT 1") == 1


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(
    server: EmbeddedPostgres, folder: Path
) -> None:
    pid_file = folder / "cluster" / "postmaster.pid"
    content = pid_file.read_text()
    await server.kill()
    pid_file.write_text(content.replace(content.split()[0], str(os.getppid()), 1))
    await server.start()
    assert await query(server, "SELECT 1") == 1


async def test_half_a_cluster_is_thrown_away(folder: Path) -> None:
    (folder / "cluster.new").mkdir(parents=True)
    (folder / "cluster.new" / "half").touch()
    server = EmbeddedPostgres(folder)
    await server.start()
    await server.stop()
    assert not (folder / "cluster.new").exists()


async def test_data_of_another_major_version_is_left_alone(
    server: EmbeddedPostgres, folder: Path
) -> None:
    await server.stop()
    (folder / "cluster" / "PG_VERSION").write_text("14\n")
    with pytest.raises(EmbeddedError, match="written by PostgreSQL 14"):
        await server.start()


async def test_a_taken_port_is_avoided(server: EmbeddedPostgres) -> None:
    port = server.port
    await server.stop()
    with socket.create_server((HOST, port)):
        await server.start()
        assert server.port != port
        assert await query(server, "SELECT 1") == 1


async def test_a_taken_port_that_was_asked_for_is_refused(folder: Path) -> None:
    with socket.create_server((HOST, free_port(25432))) as squatter:
        port = squatter.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            await EmbeddedPostgres(folder, port=port).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
async def test_root_can_run_it_as_nobody(folder: Path) -> None:
    server = EmbeddedPostgres(folder, identity=Identity(uid=NOBODY))
    if any(not parent.stat().st_mode & 0o001 for parent in postgres_programs().parents):
        with pytest.raises(EmbeddedError, match="closed to others"):
            await server.start()
        return
    await server.start()
    assert user_of(server.pid) == NOBODY
    await server.kill()
    await server.restart()
    assert await query(server, "SELECT 1") == 1
    await server.stop()


async def test_a_killed_owner_takes_the_server_with_it(with_data: Path) -> None:
    start_and_kill_an_owner(with_data)
    async with asyncio.timeout(20):
        while processes_in(with_data / "cluster", "postgres"):  # noqa: ASYNC110 - not our children
            await asyncio.sleep(0.02)
