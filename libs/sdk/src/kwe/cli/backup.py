"""kwe backup, kwe restore"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kwe.cli.failures import complete
from kwe.cli.output import messages, output_option, print_json

if TYPE_CHECKING:
    from common.settings import DatabaseSettings

F = TypeVar("F", bound=Callable[..., Any])


def _place_options(command: F) -> F:
    programs = click.option(
        "--programs",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        envvar="KWE_POSTGRES_PROGRAMS",
        help="Folder with pg_dump and pg_restore.  [default: the installed ones that fit]",
    )
    endpoint = click.option(
        "--endpoint",
        envvar="AWS_ENDPOINT_URL_S3",
        help="Address of S3-compatible storage that is not Amazon's.",
    )
    return programs(endpoint(output_option(command)))


@click.command()
@click.option(
    "--to",
    "target",
    required=True,
    envvar="KWE_BACKUP_TO",
    help="A folder, or s3://BUCKET/PREFIX.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(min=0),
    default=7,
    show_default=True,
    envvar="KWE_BACKUP_KEEP_DAYS",
    help="Older backups there are removed, but never the newest. 0 keeps all.",
)
@_place_options
def backup(
    target: str, keep_days: int, endpoint: str | None, programs: Path | None, output: str
) -> None:
    """Back up the database at DATABASE_URL, while everything goes on.

    PostgreSQL holds the whole installation; Redis needs no backup.

    \b
      kwe backup --to /var/backups/kwe
      kwe backup --to s3://backups/kwe --keep-days 30
    """
    from kwe.backup.places import place_of
    from kwe.backup.taking import take

    place = place_of(target, endpoint=endpoint)
    taken = complete(take(_database(), place, keep_days=keep_days, given=programs))
    if output == "json":
        print_json(
            {
                "name": taken.name,
                "place": taken.place,
                "bytes": taken.bytes,
                "sha256": taken.sha256,
                "removed": list(taken.removed),
            }
        )
        return
    click.echo(taken.place)
    removed = f", {len(taken.removed)} older removed" if taken.removed else ""
    messages().print(f"{taken.bytes:,} bytes{removed}", style="dim")


@click.command()
@click.argument("source")
@click.option(
    "--replace", is_flag=True, help="Delete the installation that this database holds now."
)
@_place_options
def restore(
    source: str, replace: bool, endpoint: str | None, programs: Path | None, output: str
) -> None:
    """Restore the backup SOURCE into the empty database at DATABASE_URL, with all services stopped.

    SOURCE is a backup, or the folder or s3://BUCKET/PREFIX that holds it: then the newest. With REDIS_URL, Redis
    is told too, so that executors drop tasks of the time that is undone whatever is started first.

    \b
      kwe restore /var/backups/kwe
      kwe restore s3://backups/kwe/kwe-20250131T020000Z.dump
    """
    from kwe.backup.places import place_of
    from kwe.backup.restoring import restore as put_back

    text, name = _split(source)
    place = place_of(text, endpoint=endpoint)

    async def work() -> tuple[Any, bool]:
        restored = await put_back(_database(), place, name, replace=replace, given=programs)
        return restored, await _tell_redis(restored.generation)

    restored, told = complete(work())
    if output == "json":
        print_json(
            {"name": restored.name, "pendingMigrations": list(restored.pending), "redisTold": told}
        )
        return
    click.echo(f"restored {restored.name}")
    if restored.pending:
        messages().print("the backup is of an older version: run `kwe migrate` next")
    if not told:
        messages().print(
            "Redis was not told: start an orchestrator first, and the others when it is ready"
        )


def _split(source: str) -> tuple[str, str | None]:
    if source.endswith(".dump"):
        head, _, name = source.rpartition("/")
        return head or ("/" if source.startswith("/") else "."), name
    return source, None


def _database() -> DatabaseSettings:
    from common.settings import DatabaseSettings, read
    from kwe.local.settings import local_environment

    return read(DatabaseSettings, local_environment(os.environ))


async def _tell_redis(generation: str) -> bool:
    """Whether Redis knows by now that what it holds is of another time. Orchestrators see to it at their start, too."""
    from common.settings import RedisSettings, read
    from common.streams import names
    from common.streams.connection import REDIS_ERRORS, Link
    from kwe.local.settings import local_environment

    variables = local_environment(os.environ)
    if not variables.get("REDIS_URL") and not variables.get("REDIS_URL_FILE"):
        return False
    link = Link(read(RedisSettings, variables).redis_dsn, timeout_s=3, name="kwe-restore")
    try:
        await link.call(b"SET", names.GENERATION_KEY, generation)
    except REDIS_ERRORS:
        return False
    finally:
        await link.close()
    return True
