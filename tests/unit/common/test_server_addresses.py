"""Addresses of servers: whatever characters a password has, the driver gets exactly that password."""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg.connect_utils
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio.connection import parse_url

from common.errors import ConfigurationError
from common.settings import DatabaseSettings, OrchestratorSettings, read

PASSWORDS = ["a/b+c=", "p@ss", "x@y/z?#[1]:", "100%", "50%25", "ä ö", "=//+@@:"]
texts = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1)


def as_asyncpg_reads(dsn: str) -> Any:
    loop = asyncio.new_event_loop()
    try:
        names = ("host", "port", "user", "password", "passfile", "database", "ssl", "service",
                 "servicefile", "direct_tls", "server_settings", "target_session_attrs", "krbsrvname", "gsslib")  # fmt: skip
        _, parameters = asyncpg.connect_utils._parse_connect_dsn_and_args(
            dsn=dsn, **dict.fromkeys(names)
        )
        return parameters
    finally:
        loop.close()


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_beside_the_url_reaches_the_drivers_as_it_is(password: str) -> None:
    environ = {
        "DATABASE_URL": "postgresql://kwe@db:5433/kwe?sslmode=disable",
        "DATABASE_PASSWORD": password,
        "REDIS_URL": "redis://redis:6379/0",
        "REDIS_PASSWORD": password,
    }
    settings = read(OrchestratorSettings, environ)
    parameters = as_asyncpg_reads(settings.database_dsn)
    assert (parameters.user, parameters.password) == ("kwe", password)
    assert parse_url(settings.redis_dsn)["password"] == password


@pytest.mark.parametrize("password", [one for one in PASSWORDS if one != "50%25"])
def test_a_raw_password_in_the_url_reaches_the_drivers_as_it_is(password: str) -> None:
    environ = {
        "DATABASE_URL": f"postgresql://kwe:{password}@db:5433/kwe",
        "REDIS_URL": f"redis://:{password}@redis:6379/0",
    }
    settings = read(OrchestratorSettings, environ)
    parameters = as_asyncpg_reads(settings.database_dsn)
    assert (parameters.password, parameters.database) == (password, "kwe")
    assert parse_url(settings.redis_dsn)["password"] == password


@given(password=texts)
def test_an_encoded_password_in_the_url_is_left_alone(password: str) -> None:
    url = f"postgresql://kwe:{quote(password, safe='')}@db/kwe"
    settings = read(DatabaseSettings, {"DATABASE_URL": url})
    assert settings.database_dsn == url


def test_the_url_wins_over_a_password_beside_it() -> None:
    environ = {"DATABASE_URL": "postgresql://u:own@h/d", "DATABASE_PASSWORD": "p"}
    assert read(DatabaseSettings, environ).database_dsn == "postgresql://u:own@h/d"


def test_the_password_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "database_password"
    file.write_text("a/b+c=\n")
    environ = {"DATABASE_URL": "postgresql://u@h/d", "DATABASE_PASSWORD_FILE": str(file)}
    assert read(DatabaseSettings, environ).database_dsn == "postgresql://u:a%2Fb%2Bc%3D@h/d"


def test_authorities_of_redis_are_part_of_its_address(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("")
    environ = {
        "REDIS_URL": "redis://h/0",
        "REDIS_TLS": "true",
        "REDIS_TLS_ROOT_CERT": str(file),
    }
    dsn = read(OrchestratorSettings, environ).redis_dsn
    assert parse_url(dsn)["ssl_ca_certs"] == str(file)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (
            {"DATABASE_SSL": "verify-full", "DATABASE_SSL_ROOT_CERT": "/no/such.pem"},
            "DATABASE_SSL_ROOT_CERT cannot be read",
        ),
        (
            {"DATABASE_SSL": "require", "DATABASE_SSL_ROOT_CERT": "/dev/null"},
            "DATABASE_SSL_ROOT_CERT has an effect only",
        ),
        (
            {"REDIS_TLS": "true", "REDIS_TLS_ROOT_CERT": "/no/such.pem"},
            "REDIS_TLS_ROOT_CERT cannot be read",
        ),
        ({"REDIS_TLS_ROOT_CERT": "/dev/null"}, "REDIS_TLS_ROOT_CERT has an effect only"),
        ({"DATABASE_SSL": "sometimes"}, "DATABASE_SSL: "),
    ],
)
def test_settings_of_tls_that_cannot_work_are_refused(environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(OrchestratorSettings, environ)


def test_capitals_are_forgiven() -> None:
    assert read(DatabaseSettings, {"DATABASE_SSL": "True"}).database_ssl == "true"
