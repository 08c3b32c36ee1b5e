"""What a well-formed value looks like. Messages give advice and never repeat the value."""

import base64
import binascii
from enum import StrEnum
from ipaddress import ip_network
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


def database_address(url: SecretStr) -> SecretStr:
    parts = _split(url)
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("should look like postgresql://user:password@host:5432/database")
    return url


def redis_address(url: SecretStr) -> SecretStr:
    parts = _split(url)
    # A Unix socket names a path and no host; everything else must name a host.
    if parts.scheme not in {"redis", "rediss", "unix"} or (
        parts.scheme != "unix" and not parts.hostname
    ):
        raise ValueError("should look like redis://:password@host:6379/0 (rediss:// for TLS)")
    return url


def aes_key(key: SecretStr) -> SecretStr:
    try:
        length = len(base64.b64decode(key.get_secret_value(), validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != 32:
        raise ValueError(
            "should be 32 random bytes in base64, as `openssl rand -base64 32` prints them"
        )
    return key


def outbound_rule(rule: str) -> str:
    """A network, a host, or host:port."""
    if "/" in rule:
        try:
            ip_network(rule, strict=False)
        except ValueError:
            raise ValueError(
                "should list hosts, host:port pairs and networks such as 10.0.0.0/8"
            ) from None
    return rule.lower()


def _split(url: SecretStr) -> SplitResult:
    try:
        parts = urlsplit(url.get_secret_value())
        _ = parts.port
    except ValueError:
        raise ValueError(
            "is not a URL; special characters in a password must be percent-encoded"
        ) from None
    return parts
