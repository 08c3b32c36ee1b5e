"""What a well-formed value looks like. Messages give advice and never repeat the value."""

import base64
import binascii
from enum import StrEnum
from ipaddress import ip_network
from typing import Final

from pydantic import SecretStr

PINECONE_CLOUDS: Final = ("aws", "gcp", "azure")


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


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


def aes_keys(keys: SecretStr) -> SecretStr:
    for key in keys.get_secret_value().split(","):
        if key.strip():
            aes_key(SecretStr(key.strip()))
    return keys


def pinecone_place(environment: str) -> tuple[str, str]:
    """Cloud and region. Both `us-east-1-aws`, as Pinecone's older consoles show it, and `aws-us-east-1`."""
    words = environment.strip().lower().removesuffix("-free").split("-")
    for cloud in (words[-1], words[0]):
        rest = words[:-1] if cloud == words[-1] else words[1:]
        if cloud in PINECONE_CLOUDS and rest:
            return cloud, "-".join(rest)
    raise ValueError("should be a region and its cloud, such as us-east-1-aws")


def with_cloud(environment: str) -> str:
    pinecone_place(environment)
    return environment


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
