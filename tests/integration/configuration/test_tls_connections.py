"""DATABASE_SSL and REDIS_TLS against servers that speak nothing but TLS."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis
from tls_proxy import Authority, TlsProxy, tls_proxy

from common.diagnosis import require_redis
from common.errors import ConfigurationError
from common.postgres import connect, create_pool
from common.settings import DatabaseSettings, RedisSettings, read
from common.streams.connection import REDIS_ERRORS, Link


def at(url: str, port: int, host: str = "127.0.0.1") -> str:
    """The address with another host and port, user and password kept."""
    parts = urlsplit(url)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    return urlunsplit(parts._replace(netloc=f"{user}{host}:{port}"))


def target(url: str, default: int) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "127.0.0.1", parts.port or default


@dataclass
class TlsServer:
    url: str
    proxy: TlsProxy


@pytest.fixture
async def tls_postgres(bare_database: str, authority: Authority) -> AsyncIterator[TlsServer]:
    context = authority.server_context("localhost", "127.0.0.1")
    async with tls_proxy(target(bare_database, 5432), context, postgres=True) as proxy:
        yield TlsServer(at(bare_database, proxy.port), proxy)


@pytest.fixture
async def tls_redis(redis_url: str, authority: Authority) -> AsyncIterator[TlsServer]:
    context = authority.server_context("localhost", "127.0.0.1")
    async with tls_proxy(target(redis_url, 6379), context) as proxy:
        yield TlsServer(at(redis_url, proxy.port), proxy)


def database(url: str, **variables: str) -> DatabaseSettings:
    return read(DatabaseSettings, {"DATABASE_URL": url, **variables})


async def answer(settings: DatabaseSettings) -> Any:
    connection = await connect(settings, application_name="kwe-test")
    try:
        return await connection.fetchval("SELECT 42")
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["true", "require"])
async def test_the_database_is_reached_encrypted_with_any_certificate(
    tls_postgres: TlsServer, mode: str
) -> None:
    assert await answer(database(tls_postgres.url, DATABASE_SSL=mode)) == 42
    assert (tls_postgres.proxy.encrypted, tls_postgres.proxy.refused) == (1, 0)


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
async def test_a_certificate_of_the_given_authority_is_accepted(
    tls_postgres: TlsServer, authority: Authority, mode: str
) -> None:
    settings = database(
        tls_postgres.url, DATABASE_SSL=mode, DATABASE_SSL_ROOT_CERT=str(authority.file)
    )
    pool = await create_pool(settings, application_name="kwe-test", min_size=1)
    try:
        assert await pool.fetchval("SELECT 42") == 42
    finally:
        await pool.close()
    assert tls_postgres.proxy.encrypted == 1


async def test_an_unknown_authority_is_refused_in_one_sentence(tls_postgres: TlsServer) -> None:
    with pytest.raises(ConfigurationError, match=r"certificate is not accepted.*DATABASE_SSL"):
        await answer(database(tls_postgres.url, DATABASE_SSL="verify-full"))


async def test_only_verify_full_minds_the_host_name(
    bare_database: str, authority: Authority
) -> None:
    context = authority.server_context("db.example")
    variables = {"DATABASE_SSL_ROOT_CERT": str(authority.file)}
    async with tls_proxy(target(bare_database, 5432), context, postgres=True) as proxy:
        url = at(bare_database, proxy.port)
        assert await answer(database(url, DATABASE_SSL="verify-ca", **variables)) == 42
        with pytest.raises(ConfigurationError, match=r"certificate is not accepted.*IP address"):
            await answer(database(url, DATABASE_SSL="verify-full", **variables))


async def test_a_database_without_tls_is_named_as_such(bare_database: str) -> None:
    if urlsplit(bare_database).hostname is None:
        pytest.skip("a Unix socket is never encrypted")
    with pytest.raises(ConfigurationError, match=r"does not speak TLS.*DATABASE_SSL=false"):
        await answer(database(bare_database, DATABASE_SSL="require"))


def redis(url: str, **variables: str) -> str:
    return read(RedisSettings, {"REDIS_URL": url, **variables}).redis_dsn


async def ping(dsn: str) -> bytes:
    link = Link(dsn, timeout_s=5)
    try:
        reply: bytes = await link.call(b"PING")
        return reply
    finally:
        await link.close()


async def test_redis_is_reached_by_tls_although_its_url_says_redis(
    tls_redis: TlsServer, authority: Authority
) -> None:
    assert tls_redis.url.startswith("redis://")
    dsn = redis(tls_redis.url, REDIS_TLS="true", REDIS_TLS_ROOT_CERT=str(authority.file))
    assert await ping(dsn) == b"PONG"
    async with Redis.from_url(dsn) as client:  # as the subscribers open it
        assert await client.ping()
    assert tls_redis.proxy.encrypted == 2


async def test_the_password_beside_the_url_is_used_over_tls(
    tls_redis: TlsServer, authority: Authority
) -> None:
    parts = urlsplit(tls_redis.url)
    bare = urlunsplit(parts._replace(netloc=f"{parts.hostname}:{parts.port}"))
    dsn = redis(
        bare,
        REDIS_PASSWORD=parts.password or "",
        REDIS_TLS="true",
        REDIS_TLS_ROOT_CERT=str(authority.file),
    )
    assert await ping(dsn) == b"PONG"


async def test_redis_with_an_unknown_certificate_is_not_talked_to(tls_redis: TlsServer) -> None:
    dsn = redis(tls_redis.url, REDIS_TLS="true")
    with pytest.raises(REDIS_ERRORS, match=r"(?i)certificate"):
        await ping(dsn)
    link = Link(dsn)
    with pytest.raises(ConfigurationError, match=r"certificate is not accepted.*REDIS_TLS_ROOT"):
        await require_redis(link, may_be_away=True)
    await link.close()


async def test_redis_with_the_certificate_of_another_host_is_not_talked_to(
    redis_url: str, authority: Authority
) -> None:
    async with tls_proxy(
        target(redis_url, 6379), authority.server_context("redis.example")
    ) as proxy:
        url = at(redis_url, proxy.port)
        with pytest.raises(REDIS_ERRORS, match=r"(?i)certificate"):
            await ping(redis(url, REDIS_TLS="true", REDIS_TLS_ROOT_CERT=str(authority.file)))


async def test_a_managed_redis_with_its_own_certificate_can_be_trusted_by_the_url(
    tls_redis: TlsServer,
) -> None:
    url = f"{tls_redis.url}?ssl_cert_reqs=none"
    assert await ping(redis(url, REDIS_TLS="true")) == b"PONG"
