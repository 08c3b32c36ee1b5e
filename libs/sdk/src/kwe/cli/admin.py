"""kwe admin: for the first credential of an installation, when no API can be asked yet."""

from __future__ import annotations

import os
from typing import Any

import click

from kwe.cli.failures import UsageProblem, complete
from kwe.cli.output import messages, output_option, print_json, print_table


@click.group()
def admin() -> None:
    """Create organisations and keys straight in the database at DATABASE_URL.

    Without DATABASE_URL, the database of this folder's running `kwe up` is used.
    """


@admin.command("create-organization")
@click.argument("name")
@click.option("--max-concurrent", default=0, help="Running executions at a time; 0 is no limit.")
@output_option
def create_organization(name: str, max_concurrent: int, output: str) -> None:
    """Create the organisation NAME, or find it.

    \b
      kwe admin create-organization acme
    """
    from kwe.local.bootstrap import connection, ensure_organization

    async def work() -> Any:
        async with connection(_environ()) as database:
            return await ensure_organization(database, name, max_concurrent=max_concurrent)

    id, created = complete(work())
    if output == "json":
        print_json({"id": str(id), "name": name, "created": created})
    else:
        click.echo(str(id))
        messages().print("created" if created else "it was there already", style="dim")


@admin.command("create-key")
@click.option("--organization", required=True, help="Its name.")
@click.option("--scopes", default="admin", show_default=True, help="Separated by commas.")
@click.option("--name", default="", help="For people.")
@output_option
def create_key(organization: str, scopes: str, name: str, output: str) -> None:
    """Create an API key and print it, this once: only its hash is kept.

    \b
      kwe admin create-key --organization acme --scopes executions:write,knowledge:read
    """
    from common.security import Scope, parse_scopes
    from kwe.local.bootstrap import connection, find_organization
    from kwe.local.bootstrap import create_key as create

    words = [word.strip() for word in scopes.split(",") if word.strip()]
    unknown = [word for word in words if not parse_scopes([word])]
    if unknown or not words:
        known = ", ".join(scope.value for scope in Scope)
        raise UsageProblem(
            f"--scopes: {unknown[0] if unknown else 'none'} is no scope; use {known}"
        )

    async def work() -> str | None:
        async with connection(_environ()) as database:
            id = await find_organization(database, organization)
            return None if id is None else await create(database, id, words, name=name)

    text = complete(work())
    if text is None:
        from kwe.errors import NotFound

        advice = (
            f"there is no organisation {organization}: kwe admin create-organization creates it"
        )
        raise NotFound(404, {"detail": advice})
    if output == "json":
        print_json({"key": text, "organization": organization, "scopes": words})
    else:
        click.echo(text)
        messages().print("Keep it: it is not shown again.", style="dim")


@admin.command("partitions")
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=0,
    envvar="RETENTION_DAYS",
    help="What would become of them if so many days were kept.  [default: RETENTION_DAYS]",
)
@output_option
def partitions(days: int, output: str) -> None:
    """Show the months that executions are kept by, and what keeps each of them.

    \b
      kwe admin partitions --days 90
    """
    from dataclasses import asdict

    from kwe.local.bootstrap import connection
    from kwe.local.partitions import Month, months

    async def work() -> list[Month]:
        async with connection(_environ()) as database:
            return await months(database, days=days)

    found = complete(work())
    if output == "json":
        print_json([asdict(one) for one in found])
        return
    print_table(
        ("MONTH", "EXECUTIONS ≈", "SIZE", "UNFINISHED", "FATE"),
        [
            (
                one.month,
                f"{one.executions:,}",
                f"{one.bytes / 2**20:,.1f} MiB",
                one.unfinished,
                one.fate,
            )
            for one in found
        ],
        empty="the database has no partitions",
    )


@admin.command("declare-restored")
def declare_restored() -> None:
    """Say that this database was taken back to an earlier moment by other means than `kwe restore`.

    After a point-in-time recovery, a snapshot, or a failover that lost commits: with all services stopped. The next
    orchestrator to start drops what Redis holds of the time that is undone.
    """
    from kwe.backup.database import declare_restored as declare
    from kwe.backup.database import require_nobody
    from kwe.local.bootstrap import connection

    async def work() -> None:
        async with connection(_environ()) as database:
            await require_nobody(database)
            await declare(database)

    complete(work())
    messages().print("start an orchestrator first, and the other services when it is ready")


def _environ() -> dict[str, str]:
    from kwe.local.settings import local_environment

    return local_environment(os.environ)
