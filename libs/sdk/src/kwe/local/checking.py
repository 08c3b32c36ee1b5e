"""What can be told before anything is started: settings that are wrong, servers that do not answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from common.errors import ConfigurationError
from common.settings import SERVICES, OrchestratorSettings, read
from common.streams.connection import REDIS_ERRORS, Link

_MADE_HERE: Final = {
    "DATABASE_URL": "postgresql://localhost/kwe",
    "REDIS_URL": "redis://localhost:6379/0",
    "JWT_SECRET": "0" * 32,
}
"""What a service may require and the stack makes by itself: any value will do for a look at the others."""


def check_settings(variables: Mapping[str, str]) -> None:
    """Raise one `ConfigurationError` with everything that the services would say about their settings."""
    lines = dict.fromkeys(line for each in _complaints(_completed(variables)) for line in each)
    if lines:
        raise ConfigurationError("\n".join(lines))


async def check_redis(variables: Mapping[str, str]) -> None:
    """Raise `ConfigurationError` if the Redis that was named does not answer."""
    if not _is_given(variables, "REDIS_URL"):
        return
    dsn = read(OrchestratorSettings, _completed(variables)).redis_dsn
    link = Link(dsn, timeout_s=5.0, name="kwe-up")
    try:
        await link.call(b"PING")
    except REDIS_ERRORS as error:
        place = urlsplit(dsn)
        why = str(error) or type(error).__name__
        raise ConfigurationError(
            f"Redis at {place.hostname}:{place.port or 6379} cannot be used: {why.rstrip('.')}; is it running, "
            "and is REDIS_URL right?"
        ) from error
    finally:
        await link.close()


def _completed(variables: Mapping[str, str]) -> dict[str, str]:
    made = {name: value for name, value in _MADE_HERE.items() if not _is_given(variables, name)}
    return {**variables, **made}


def _complaints(variables: Mapping[str, str]) -> Iterator[list[str]]:
    for service in SERVICES.values():
        try:
            read(service, variables)
        except ConfigurationError as error:
            yield error.detail.splitlines()


def _is_given(variables: Mapping[str, str], name: str) -> bool:
    return bool(variables.get(name) or variables.get(f"{name}_FILE"))
