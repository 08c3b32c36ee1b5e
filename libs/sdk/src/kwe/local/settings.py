"""The settings that processes started by hand share with a running `kwe up`.

`kwe up` keeps them in `.kwe/environment`, readable by its owner only, so that `kwe worker` and `kwe admin` work in
the same folder without further ado.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kwe.credentials import FOLDER, read_file
from kwe.errors import NotConfigured

FILE: Final = "environment"
SHARED: Final = (
    "DATABASE_URL",
    "DATABASE_PASSWORD",
    "DATABASE_SSL",
    "DATABASE_SSL_ROOT_CERT",
    "REDIS_URL",
    "REDIS_PASSWORD",
    "REDIS_TLS",
    "REDIS_TLS_ROOT_CERT",
    "ENCRYPTION_KEY",
    "ENCRYPTION_KEY_PREVIOUS",
    "PARTITIONS",
    "TASK_LEASE",
    "REFRESH_INTERVAL",
    "OUTBOUND_ALLOW",
)


NAMES_A_DATABASE: Final = ("DATABASE_URL", "DATABASE_URL_FILE", "SECRETS_SOURCE")
"""Any of them, and the database is not that of a folder."""


def keep_environment(folder: Path, variables: Mapping[str, str]) -> None:
    """Write what other processes need."""
    descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{name}={variables[name]}\n" for name in SHARED if variables.get(name))


def local_environment(environ: Mapping[str, str], start: Path | None = None) -> dict[str, str]:
    """`environ`, completed by the nearest running `kwe up`. Raises `NotConfigured` without a database."""
    if any(environ.get(name) for name in NAMES_A_DATABASE):
        return dict(environ)
    file = _find((start or Path.cwd()).resolve())
    if file is None:
        raise NotConfigured(
            f"no database: set DATABASE_URL, or run in a folder where `kwe up` was started ({FOLDER}/{FILE})"
        )
    return {**read_file(file), **{name: value for name, value in environ.items() if value}}


def worker_environment(environ: Mapping[str, str], start: Path | None = None) -> dict[str, str]:
    """For an executor beside those of a running `kwe up`."""
    defaults = {"HOST": "127.0.0.1", "METRICS_PORT": "0", "LOG_FORMAT": "console"}
    return {**defaults, **local_environment(environ, start)}


def _find(start: Path) -> Path | None:
    candidates = (folder / FOLDER / FILE for folder in (start, *start.parents))
    return next((file for file in candidates if file.is_file()), None)
