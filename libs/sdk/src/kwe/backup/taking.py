"""Making a backup, and letting go of old ones."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from common.settings import DatabaseSettings
from kwe.backup import database, programs
from kwe.backup.places import CHECKSUM, STAGING, Backup, Place, checksum_of, complete, name_at


@dataclass(frozen=True, slots=True)
class Taken:
    name: str
    place: str
    bytes: int
    sha256: str
    removed: tuple[str, ...]
    """Names of backups that were older than they are kept."""


async def take(
    settings: DatabaseSettings, place: Place, *, keep_days: int, given: Path | None = None
) -> Taken:
    """One consistent picture of the database, stored with its checksum. Services may go on meanwhile."""
    async with database.opened(settings) as connection:
        tools = await programs.fitting(database.major_of(connection), given=given)
        await database.require_installation(connection)
        row_security = await database.needs_row_security(connection)
    name = name_at(datetime.now(UTC))
    with tempfile.TemporaryDirectory(prefix=STAGING, dir=place.staging()) as folder:
        await _require_usable(place, Path(folder))
        file = Path(folder) / name
        await _dump(tools, settings, file, row_security=row_security)
        checksum = checksum_of(file)
        note = Path(folder) / f"{name}{CHECKSUM}"
        note.write_text(f"{checksum}  {name}\n")
        size = file.stat().st_size
        await place.store(file, name)
        # Last: it says that the other one is whole.
        await place.store(note, note.name)
    async with database.opened(settings) as connection:
        await database.note_backup(connection)
    removed = await rotate(place, keep_days=keep_days, now=datetime.now(UTC))
    return Taken(name, place.describe(name), size, checksum, tuple(removed))


async def _require_usable(place: Place, folder: Path) -> None:
    """Before an hour's dump rather than after it."""
    probe = folder / f"{STAGING}probe"
    probe.write_text("")
    await place.store(probe, probe.name)
    await place.remove(probe.name)


async def _dump(
    tools: programs.Programs, settings: DatabaseSettings, file: Path, *, row_security: bool
) -> None:
    await programs.run(
        [
            tools.dump,
            "--format=custom",
            "--no-owner",
            # Behind a long migration, waiting would make everybody else wait behind us.
            "--lock-wait-timeout=60s",
            *(["--enable-row-security"] if row_security else []),
            f"--file={file}",
            f"--dbname={programs.address(settings)}",
        ],
        settings,
    )
    # Reads the archive's table of contents: what cannot be read now could not be restored.
    await programs.run([tools.restore, "--list", str(file)])


async def rotate(place: Place, *, keep_days: int, now: datetime) -> list[str]:
    """Remove backups older than `keep_days`; never the newest, however old. 0 keeps all."""
    if keep_days == 0:
        return []
    removed = [each.name for each in expired(complete(await place.names()), keep_days, now)]
    for name in removed:
        await place.remove(f"{name}{CHECKSUM}")
        await place.remove(name)
    return removed


def expired(backups: Sequence[Backup], keep_days: int, now: datetime) -> list[Backup]:
    """`backups` are complete ones, oldest first."""
    return [each for each in backups[:-1] if each.at < now - timedelta(days=keep_days)]
