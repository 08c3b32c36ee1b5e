"""Variables of the two servers that every service needs, and the addresses that they come to."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import AfterValidator, BeforeValidator, NonNegativeInt, PositiveInt, SecretStr

from common.settings.addresses import database_address, redis_address, with_password
from common.settings.groups import SettingsGroup
from common.settings.variable import variable


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class DatabaseSettings(SettingsGroup):
    database_url: Annotated[SecretStr, AfterValidator(database_address)] = variable(
        SecretStr("postgresql://postgres@127.0.0.1:5432/kwe"),
        secret=True,
        required_in_production=True,
        example="postgresql://kwe@postgres:5432/kwe",
        description="PostgreSQL 15 or newer. Each service may have a user of its own.",
    )
    database_password: SecretStr | None = variable(
        None, secret=True, example="CHANGE_ME", description="Password, where the URL has none."
    )
    database_role: str | None = variable(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$",
        description="Role to work as after connecting, where several services share one user.",
    )
    database_pool_min: NonNegativeInt = variable(
        2, example="2", description="Connections that a process keeps open."
    )
    database_pool_max: PositiveInt = variable(
        10, example="10", description="The most connections that a process opens."
    )
    database_ssl: Annotated[
        Literal["false", "true", "require", "verify-ca", "verify-full"], BeforeValidator(_lowered)
    ] = variable(
        "false",
        example="require",
        description="`true` and `require` encrypt; `verify-ca` also checks the certificate, `verify-full` the host name "
        "too. `false` leaves it to the URL's `sslmode`.",
    )
    database_ssl_root_cert: Path | None = variable(
        None,
        default_text="the system's",
        description="Certificate authorities for `verify-ca` and `verify-full`, a PEM file.",
    )

    @property
    def database_dsn(self) -> str:
        """The URL with `DATABASE_PASSWORD` merged in. It is a secret."""
        return self.database_dsn_of(self.database_url)

    def database_dsn_of(self, url: SecretStr) -> str:
        """The same for another server with the same users, such as a replica."""
        return with_password(url.get_secret_value(), self.database_password, user="postgres")

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        smallest, largest = (
            given.get("database_pool_min", "2"),
            given.get("database_pool_max", "10"),
        )
        if smallest.isdecimal() and largest.isdecimal() and int(smallest) > int(largest):
            yield "DATABASE_POOL_MIN must not be above DATABASE_POOL_MAX"
        authorities, mode = given.get("database_ssl_root_cert"), given.get("database_ssl", "")
        if authorities is not None and mode.lower() not in {"verify-ca", "verify-full"}:
            yield "DATABASE_SSL_ROOT_CERT has an effect only with DATABASE_SSL=verify-full or verify-ca"
        elif authorities is not None:
            yield from _unreadable("DATABASE_SSL_ROOT_CERT", authorities)


class RedisSettings(SettingsGroup):
    redis_url: Annotated[SecretStr, AfterValidator(redis_address)] = variable(
        SecretStr("redis://127.0.0.1:6379/0"),
        secret=True,
        required_in_production=True,
        example="redis://redis:6379/0",
        description="Redis 7 or newer, or Valkey 8 or newer, with `maxmemory-policy noeviction`.",
    )
    redis_password: SecretStr | None = variable(
        None, secret=True, example="CHANGE_ME", description="Password, where the URL has none."
    )
    redis_tls: bool = variable(
        False,
        example="false",
        description="Use TLS even where the URL says `redis://`. Certificate and host name are checked.",
    )
    redis_tls_root_cert: Path | None = variable(
        None,
        default_text="the system's",
        description="Certificate authorities for Redis over TLS, a PEM file.",
    )

    @property
    def redis_dsn(self) -> str:
        """The URL with `REDIS_PASSWORD` and the settings of TLS merged in. It is a secret."""
        url = with_password(self.redis_url.get_secret_value(), self.redis_password)
        parts = urlsplit(url)
        scheme, query = parts.scheme, parts.query
        if self.redis_tls and scheme == "redis":
            scheme = "rediss"
        if self.redis_tls_root_cert is not None and scheme == "rediss":
            authorities = f"ssl_ca_certs={quote(str(self.redis_tls_root_cert), safe='/')}"
            query = f"{query}&{authorities}" if query else authorities
        return urlunsplit(parts._replace(scheme=scheme, query=query))

    @classmethod
    def requirements(cls, given: Mapping[str, str], *, production: bool) -> Iterator[str]:
        yield from super().requirements(given, production=production)
        authorities = given.get("redis_tls_root_cert")
        if authorities is None:
            return
        by_setting = given.get("redis_tls", "").lower() in {"true", "1", "yes", "on", "t", "y"}
        if not by_setting and not given.get("redis_url", "").startswith("rediss:"):
            yield "REDIS_TLS_ROOT_CERT has an effect only with REDIS_TLS=true or a rediss:// URL"
        yield from _unreadable("REDIS_TLS_ROOT_CERT", authorities)


def _unreadable(name: str, path: str) -> Iterator[str]:
    """Said at the start, where one line is read; a handshake that fails later says less."""
    if "\x00" in path or not os.access(path, os.R_OK):
        yield f"{name} cannot be read: mount the PEM file, readable by this user, or correct the path"
