"""What `kwe up` puts around the services."""

import asyncio
import base64
import socket
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from embedded import EmbeddedError, FolderBusy, LocalEnvironment, PortTaken, service_specs
from embedded.ports import HOST

YOURS = {"DATABASE_URL": "postgresql://db.example/kwe", "REDIS_URL": "redis://cache.example"}
YOURS_BUT_VALKEY = {"DATABASE_URL": YOURS["DATABASE_URL"]}
NO_WAIT = ConstantBackoff(0.05)


async def test_it_starts_both_servers_and_keeps_their_data(server_folder: Path) -> None:
    folder = server_folder / "environment"
    async with LocalEnvironment(folder, {}) as environment:
        connection = await asyncpg.connect(environment.database_url)
        await connection.execute("CREATE TABLE kept ()")
        await connection.close()
        async with Redis.from_url(environment.redis_url) as client:
            assert await client.ping()
        first = environment.variables
    async with LocalEnvironment(folder, {}) as environment:
        assert environment.variables == first
        connection = await asyncpg.connect(environment.database_url)
        await connection.execute("SELECT FROM kept")
        await connection.close()


async def test_a_crashed_server_is_started_again(server_folder: Path) -> None:
    async with LocalEnvironment(server_folder / "crashing", YOURS_BUT_VALKEY) as environment:
        assert environment.valkey is not None
        before = environment.valkey.pid
        await environment.valkey.kill()
        async with asyncio.timeout(20):
            while environment.valkey.pid in {None, before}:  # noqa: ASYNC110 - no event says so
                await asyncio.sleep(0.02)
        async with Redis.from_url(environment.redis_url, retry=Retry(NO_WAIT, 200)) as client:
            assert await client.ping()


async def test_another_process_can_find_the_servers(server_folder: Path) -> None:
    folder = server_folder / "found"
    other = LocalEnvironment(folder, YOURS_BUT_VALKEY)
    with pytest.raises(EmbeddedError, match="nothing is running"):
        other.attach()
    async with LocalEnvironment(folder, YOURS_BUT_VALKEY) as environment:
        other.attach()
        assert other.variables == environment.variables


async def test_servers_of_the_user_are_used_as_they_are(tmp_path: Path) -> None:
    async with LocalEnvironment(tmp_path, YOURS) as environment:
        assert environment.postgres is None
        assert environment.valkey is None
        assert environment.database_url == YOURS["DATABASE_URL"]
        assert environment.redis_url == YOURS["REDIS_URL"]


async def test_an_address_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://db.example/kwe\n")
    given = {"DATABASE_URL_FILE": str(tmp_path / "dsn"), "REDIS_URL": "redis://cache.example"}
    async with LocalEnvironment(tmp_path / "kwe", given) as environment:
        assert environment.database_url == "postgresql://db.example/kwe"
        assert "DATABASE_URL" not in environment.variables


async def test_secrets_are_made_once_and_the_users_own_are_kept(tmp_path: Path) -> None:
    async with LocalEnvironment(tmp_path, YOURS) as environment:
        first = environment.variables
    async with LocalEnvironment(tmp_path, {**YOURS, "JWT_SECRET": "mine"}) as environment:
        second = environment.variables
    assert len(first["JWT_SECRET"]) >= 32
    assert len(base64.b64decode(first["ENCRYPTION_KEY"])) == 32
    assert second["ENCRYPTION_KEY"] == first["ENCRYPTION_KEY"]
    assert second["JWT_SECRET"] == "mine"
    assert (tmp_path / "secrets" / "encryption_key").stat().st_mode & 0o777 == 0o600


async def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    async with LocalEnvironment(tmp_path, YOURS):
        with pytest.raises(FolderBusy):
            await LocalEnvironment(tmp_path, YOURS).start()


def test_replicas_have_names_and_ports_of_their_own(tmp_path: Path) -> None:
    environment = LocalEnvironment(tmp_path, YOURS)
    specs = service_specs(environment, {"executor": 2, "gateway": 2, "knowledge": 0})
    assert [spec.name for spec in specs] == [
        "orchestrator",
        "executor",
        "executor-2",
        "gateway",
        "gateway-2",
    ]
    ports = [spec.env["PORT"] for spec in specs if "PORT" in spec.env]
    assert len(set(ports)) == 2
    assert [spec.stage for spec in specs] == [0, 0, 0, 1, 1]


def test_the_port_of_the_user_is_taken_or_refused(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as squatter:
        taken = str(squatter.getsockname()[1])
        environment = LocalEnvironment(tmp_path, {**YOURS, "PORT": taken})
        with pytest.raises(PortTaken, match=taken):
            service_specs(environment, {})
    [gateway] = service_specs(environment, {"orchestrator": 0, "executor": 0, "knowledge": 0})
    assert gateway.env["PORT"] == taken


def test_an_unknown_service_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="no service is called worker"):
        service_specs(LocalEnvironment(tmp_path, YOURS), {"worker": 1})
