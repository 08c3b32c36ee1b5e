"""Putting a backup back: into a database that is empty, with every service stopped."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common.errors import ConfigurationError
from common.settings import DatabaseSettings
from kwe.backup import database, programs
from kwe.backup.places import CHECKSUM, Place, checksum_of, complete

_TABLES_SHOWN: Final = 3
_SETS_TIMEOUT: Final = 17
"""From this version on, programs begin a script with a setting that older servers refuse."""
_POLICY: Final = re.compile(
    r"^CREATE POLICY \S+ ON \S+ (?:AS \S+ )?(?:FOR \S+ )?TO (?P<roles>[^(]+?) (?:USING|WITH)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Restored:
    name: str
    generation: str
    """Of Redis, from now on."""

    pending: tuple[str, ...]
    """Migrations that the backup is older than."""


async def restore(
    settings: DatabaseSettings,
    place: Place,
    name: str | None,
    *,
    replace: bool = False,
    given: Path | None = None,
) -> Restored:
    """The backup of this name, or the newest. Nothing is changed before the backup has proved to be whole."""
    name = name or await _newest(place)
    with tempfile.TemporaryDirectory(prefix="kwe-restore-") as folder:
        file = Path(folder) / "archive.dump"
        await _fetch_verified(place, name, file)
        async with database.opened(settings) as connection:
            server_major = database.major_of(connection)
            tools = await programs.fitting(server_major, given=given)
            roles = await _roles(tools, file)
            await database.require_nobody(connection)
            await _require_empty(connection, replace=replace)
            stand_ins = await _make_roles(connection, roles)
            if replace:
                await database.clear(connection)
            await _load(tools, server_major, settings, file)
            await database.take_over(connection, stand_ins)
            generation = await database.declare_restored(connection)
            pending = await _pending(connection)
    return Restored(name, generation, tuple(pending))


async def _newest(place: Place) -> str:
    backups = complete(await place.names())
    if not backups:
        raise ConfigurationError(f"{place.describe()} holds no backup with its checksum")
    return backups[-1].name


async def _fetch_verified(place: Place, name: str, file: Path) -> None:
    note = file.with_suffix(CHECKSUM)
    await place.fetch(f"{name}{CHECKSUM}", note)
    await place.fetch(name, file)
    expected = note.read_text(errors="replace").split()[:1]
    if expected != [checksum_of(file)]:
        raise ConfigurationError(
            f"{place.describe(name)} is not what was written: its checksum differs. Restore another backup"
        )


async def _require_empty(connection: Any, *, replace: bool) -> None:
    tables = await database.tables(connection)
    ours = (*(f"{schema}." for schema in database.SCHEMAS), "public.kwe_migrations")
    in_the_way = [each for each in tables if not (replace and each.startswith(ours))]
    if not in_the_way:
        return
    some = ", ".join(in_the_way[:_TABLES_SHOWN])
    advice = (
        "what is not ours is not deleted: restore into another database"
        if replace
        else "restore into an empty one, or say --replace to delete what this one holds"
    )
    raise ConfigurationError(f"the database is not empty ({some}, …): {advice}")


async def _roles(tools: programs.Programs, file: Path) -> set[str]:
    """Roles that the backup's policies speak of."""
    script = await programs.run([tools.restore, "--section=post-data", "--file=-", str(file)])
    return {
        role.strip().strip('"')
        for match in _POLICY.finditer(script.decode())
        for role in match["roles"].split(",")
    } | {database.GATEWAY_ROLE}


async def _make_roles(connection: Any, roles: set[str]) -> list[str]:
    """Roles belong to the server, not to the database: another server may lack them. Returns those that only stand in."""
    missing = await database.missing_roles(connection, roles)
    for role in missing:
        await connection.execute(f'CREATE ROLE "{role}" NOLOGIN')
    if database.GATEWAY_ROLE in missing:
        # The gateway logs in as this user and becomes that role.
        await connection.execute(f"GRANT {database.GATEWAY_ROLE} TO CURRENT_USER")
    return [role for role in missing if role != database.GATEWAY_ROLE]


async def _load(
    tools: programs.Programs, server_major: int, settings: DatabaseSettings, file: Path
) -> None:
    # Comments on extensions may be set by their owner only, who may be another one here.
    how = [tools.restore, "--no-owner", "--no-comments", "--exit-on-error"]
    if server_major < _SETS_TIMEOUT <= tools.major:
        await programs.pipe_into_psql(tools, [*how, "--file=-", str(file)], settings)
        return
    place = f"--dbname={programs.address(settings)}"
    await programs.run([*how, "--single-transaction", place, str(file)], settings)


async def _pending(connection: Any) -> Sequence[str]:
    from common.migrations import pending

    return await pending(connection)
