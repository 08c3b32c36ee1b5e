"""Addresses of servers as operators write them: credentials with any character, passwords kept beside them.

A password that `openssl rand -base64` printed holds `/`, `+` and `=`, and people choose `@` and `#`. Pasted into a URL
as they are, they break it; percent-encoded, they are what every driver expects. Both forms are taken.
"""

import re
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from pydantic import SecretStr

# The password may hold anything, so it ends at the last `@` that a host can follow.
_WITH_PASSWORD: Final = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<user>[^:/?#@\[\]]*):(?P<password>.*)@(?P<place>[^@]*)",
    re.IGNORECASE | re.DOTALL,
)
_NEEDS_ENCODING: Final = re.compile(r"[^A-Za-z0-9._~!$&'()*+,;=%-]|%(?![0-9A-Fa-f]{2})")


def encoded(url: str) -> str:
    """The same address with a password that no character of its own can cut short."""
    match = _WITH_PASSWORD.fullmatch(url)
    if match is None or _NEEDS_ENCODING.search(match["password"]) is None:
        return url  # nothing to mend, or encoded already
    password = quote(match["password"], safe="")
    return f"{match['scheme']}://{match['user']}:{password}@{match['place']}"


def with_password(url: str, password: SecretStr | None, *, user: str = "") -> str:
    """`url` with the password put in, where it has none of its own."""
    parts = urlsplit(url)
    if password is None or parts.password is not None:
        return url
    host = parts.netloc.rpartition("@")[2]
    secret = quote(password.get_secret_value(), safe="")
    return urlunsplit(parts._replace(netloc=f"{parts.username or user}:{secret}@{host}"))


def split(url: SecretStr) -> SplitResult:
    """Raise `ValueError` with advice, never with a part of the address."""
    try:
        parts = urlsplit(url.get_secret_value())
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL, or its port is not a number") from None
    return parts


def database_address(url: SecretStr) -> SecretStr:
    url = SecretStr(encoded(url.get_secret_value()))
    if split(url).scheme not in {"postgresql", "postgres"}:
        raise ValueError("should look like postgresql://user:password@host:5432/database")
    return url


def redis_address(url: SecretStr) -> SecretStr:
    url = SecretStr(encoded(url.get_secret_value()))
    parts = split(url)
    # A Unix socket names a path and no host; everything else must name a host.
    if parts.scheme not in {"redis", "rediss", "unix"} or (
        parts.scheme != "unix" and not parts.hostname
    ):
        raise ValueError("should look like redis://:password@host:6379/0 (rediss:// for TLS)")
    return url
