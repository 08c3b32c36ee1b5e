"""Where the server is and who we are: from the environment, or from `.kwe/credentials`.

`kwe up` writes that file, readable by its owner only. It is looked for in this folder and in those above it, as
version control does, so the command line works anywhere below the project.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kwe.errors import NotConfigured

FOLDER: Final = ".kwe"
FILE: Final = "credentials"
DEFAULT_URL: Final = "http://127.0.0.1:3000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    url: str
    api_key: str = field(repr=False)
    source: str
    """In words, for messages."""

    organization_id: str = ""
    """Consumers of events need it."""


def find_credentials(
    environ: Mapping[str, str] | None = None, start: Path | None = None
) -> Credentials:
    """`KWE_URL` and `KWE_API_KEY` where they are set, the nearest file for what is missing.

    Raises `NotConfigured` when there is no key.
    """
    environ = os.environ if environ is None else environ
    url, key = environ.get("KWE_URL", ""), environ.get("KWE_API_KEY", "")
    organization = environ.get("KWE_ORGANIZATION_ID", "")
    if key:
        return Credentials(
            url=url or DEFAULT_URL, api_key=key, source="KWE_API_KEY", organization_id=organization
        )
    file = find_file(start or Path.cwd())
    if file is None:
        raise NotConfigured(
            "no credentials: set KWE_URL and KWE_API_KEY, or run in a folder where `kwe up` was "
            f"started (it keeps {FOLDER}/{FILE})"
        )
    given = read_file(file)
    if "KWE_API_KEY" not in given:
        raise NotConfigured(f"{file} has no KWE_API_KEY; remove it and run `kwe up` again")
    return Credentials(
        url=url or given.get("KWE_URL", DEFAULT_URL),
        api_key=given["KWE_API_KEY"],
        source=str(file),
        organization_id=organization or given.get("KWE_ORGANIZATION_ID", ""),
    )


def find_file(start: Path) -> Path | None:
    """The nearest credentials file, from `start` upwards."""
    return next((file for file in _candidates(start.resolve()) if file.is_file()), None)


def read_file(file: Path) -> dict[str, str]:
    """`NAME=value` lines, which a shell can read too."""
    try:
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise NotConfigured(f"{file} cannot be read: {error}") from error
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs}


def write_file(folder: Path, values: Mapping[str, str]) -> Path:
    """Replace the file in `folder` (a `.kwe`) in one step; nobody else may read it at any time."""
    file, new = folder / FILE, folder / f"{FILE}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())
    new.replace(file)
    return file


def _candidates(start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder / FOLDER / FILE
