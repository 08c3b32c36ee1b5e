"""Where backups are kept: a folder, or a bucket of S3-compatible storage. The same names, the same order of writing.

A backup is two files: `kwe-20250131T020000Z.dump` and, written after it, `….dump.sha256` as `sha256sum -c` reads it.
One without a checksum was interrupted and is not offered for restoring.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit

from common.errors import ConfigurationError

T = TypeVar("T")

CHECKSUM: Final = ".sha256"
STAGING: Final = ".kwe-backup-"
STALE_S: Final = 24 * 60 * 60
_NAME: Final = re.compile(r"kwe-(?P<at>\d{8}T\d{6}Z)\.dump")
_TIME: Final = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, order=True)
class Backup:
    """One that is complete."""

    at: datetime
    name: str


class Place(Protocol):
    """Raises `ConfigurationError` for whatever the operator has to mend."""

    def describe(self, name: str = "") -> str: ...

    def staging(self) -> Path | None:
        """Where a file is best written before it is stored; None: wherever temporary files go."""
        ...

    async def names(self) -> list[str]:
        """Of all files, backups or not."""
        ...

    async def store(self, file: Path, name: str) -> None:
        """Whole or not at all. `file` may be gone afterwards."""
        ...

    async def fetch(self, name: str, file: Path) -> None:
        """Make it readable as `file`, which is not there yet."""
        ...

    async def remove(self, name: str) -> None: ...


def name_at(at: datetime) -> str:
    return f"kwe-{at.astimezone(UTC).strftime(_TIME)}.dump"


def complete(names: list[str]) -> list[Backup]:
    """The backups among these files, oldest first."""
    known = set(names)
    return sorted(
        Backup(_time_of(name), name)
        for name in known
        if _NAME.fullmatch(name) and f"{name}{CHECKSUM}" in known
    )


def _time_of(name: str) -> datetime:
    match = _NAME.fullmatch(name)
    assert match is not None
    return datetime.strptime(match["at"], _TIME).replace(tzinfo=UTC)


def place_of(text: str, *, endpoint: str | None = None) -> Place:
    """`s3://bucket/prefix`, or a folder."""
    if not text.startswith("s3://"):
        return Folder(Path(text).expanduser())
    parts = urlsplit(text)
    if not parts.netloc:
        raise ConfigurationError(f"{text} names no bucket: write s3://BUCKET or s3://BUCKET/PREFIX")
    return Bucket(parts.netloc, parts.path.strip("/"), endpoint)


def checksum_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self, name: str = "") -> str:
        return str(self._folder / name)

    async def names(self) -> list[str]:
        try:
            return [entry.name for entry in self._folder.iterdir()]
        except OSError as error:
            raise _unusable(self.describe(), error) from error

    def staging(self) -> Path:
        """Here, so that a large file is written once. What a killed run left goes."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self._folder.glob(f"{STAGING}*"):
                if time.time() - left.stat().st_mtime > STALE_S:
                    shutil.rmtree(left, ignore_errors=True)
            return self._folder
        except OSError as error:
            raise _unusable(self.describe(), error) from error

    async def store(self, file: Path, name: str) -> None:
        await asyncio.to_thread(self._store, file, name)

    def _store(self, file: Path, name: str) -> None:
        try:
            file.chmod(0o600)
            with file.open("rb") as written:
                os.fsync(written.fileno())
            file.rename(self._folder / name)
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise _unusable(self.describe(), error) from error

    async def fetch(self, name: str, file: Path) -> None:
        await asyncio.to_thread(self._fetch, name, file)

    def _fetch(self, name: str, file: Path) -> None:
        try:
            file.symlink_to((self._folder / name).resolve(strict=True))
        except OSError as error:
            raise _unusable(self.describe(name), error) from error

    async def remove(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)


class Bucket:
    """Credentials, region and endpoint come from where boto3 looks for them: `AWS_*` variables, files, the machine's role."""

    def __init__(self, bucket: str, prefix: str, endpoint: str | None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint
        self._made: Any = None

    def describe(self, name: str = "") -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def staging(self) -> None:
        return None

    async def names(self) -> list[str]:
        return await self._ask(self._names)

    def _names(self) -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix
        )
        keys = [str(item["Key"]) for page in pages for item in page.get("Contents", ())]
        return [key.removeprefix(self._prefix) for key in keys]

    async def store(self, file: Path, name: str) -> None:
        def work() -> None:
            # In parts where it is large; an object appears when its last part is there.
            self._client.upload_file(str(file), self._bucket, f"{self._prefix}{name}")

        await self._ask(work)

    async def fetch(self, name: str, file: Path) -> None:
        await self._ask(
            lambda: self._client.download_file(self._bucket, f"{self._prefix}{name}", str(file))
        )

    async def remove(self, name: str) -> None:
        await self._ask(
            lambda: self._client.delete_object(Bucket=self._bucket, Key=f"{self._prefix}{name}")
        )

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            import boto3.exceptions  # type: ignore[import-untyped]  # Amazon's come without types
            import botocore.exceptions  # type: ignore[import-untyped]
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                "S3-compatible storage needs an extra: pip install 'kwe-sdk[s3]'"
            ) from error
        try:
            return await asyncio.to_thread(work)
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            boto3.exceptions.Boto3Error,
        ) as error:
            raise ConfigurationError(f"{self.describe()} cannot be used: {error}") from error

    @property
    def _client(self) -> Any:
        if self._made is None:
            import boto3

            self._made = boto3.Session().client("s3", endpoint_url=self._endpoint)
        return self._made


def _unusable(what: str, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"{what} cannot be used: {error.strerror or error}")
