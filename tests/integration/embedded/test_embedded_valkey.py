"""The embedded Valkey: private, persistent, and able to start after any kind of end."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from embedded import EmbeddedValkey, FolderBusy
from embedded.ports import HOST


@pytest.fixture
def folder(tmp_path: Path, ports: Any) -> Path:
    return ports.keep_for(tmp_path / "a folder with spaces")


@pytest.fixture
async def server(folder: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(folder)
    await server.start()
    yield server
    await server.stop()


def set_aside(folder: Path) -> list[Path]:
    return list(folder.glob("broken-appendonlydir-*"))


async def write_and_sync(server: EmbeddedValkey) -> None:
    async with Redis.from_url(server.url) as client:
        await client.xadd("stream", {"n": "42"})
        # Until it is on disk, which `everysec` does not do at once.
        assert await client.execute_command("WAITAOF", 1, 0, 20_000) == [1, 0]


async def length(server: EmbeddedValkey) -> int:
    async with Redis.from_url(server.url) as client:
        return int(await client.xlen("stream"))


async def test_synced_data_survives_kill_9_and_the_port_stays(server: EmbeddedValkey) -> None:
    await write_and_sync(server)
    port = server.port
    await server.kill()
    assert not server.running
    await server.start()
    assert (await length(server), server.port) == (1, port)


async def test_a_restart_keeps_the_data(server: EmbeddedValkey) -> None:
    async with Redis.from_url(server.url) as client:
        await client.xadd("stream", {"n": "42"})
    await server.restart()
    assert await length(server) == 1


async def test_it_evicts_nothing_and_asks_for_the_password(
    server: EmbeddedValkey, folder: Path
) -> None:
    async with Redis.from_url(server.url) as client:
        policy = await client.config_get("maxmemory-policy")
        assert policy == {"maxmemory-policy": "noeviction"}
    assert (folder / "valkey.conf").stat().st_mode & 0o777 == 0o600
    no_retry = Retry(NoBackoff(), 0)
    async with Redis(host=HOST, port=server.port, retry=no_retry) as stranger:
        with pytest.raises(AuthenticationError):
            await stranger.ping()


async def test_files_that_cannot_be_read_are_set_aside(
    server: EmbeddedValkey, folder: Path
) -> None:
    await write_and_sync(server)
    await server.stop()
    for file in (folder / "data" / "appendonlydir").glob("*.incr.aof"):
        file.write_bytes(b"nonsense\r\n" + file.read_bytes())
    await server.start()
    assert await length(server) == 0
    assert set_aside(folder)


async def test_a_folder_has_one_owner(server: EmbeddedValkey, folder: Path) -> None:
    second = EmbeddedValkey(folder)
    with pytest.raises(FolderBusy):
        await second.start()
    await second.stop()
    assert await length(server) == 0
