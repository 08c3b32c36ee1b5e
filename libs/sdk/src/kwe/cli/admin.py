"""kwe admin: for the first credential of an installation, when no API can be asked yet."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

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
        raise _no_organization(organization)
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


@admin.command("reseal-secrets")
def reseal_secrets() -> None:
    """Seal stored secrets with ENCRYPTION_KEY that were sealed with a key in ENCRYPTION_KEY_PREVIOUS.

    Give all services the new key and the previous one, run this, and take the previous key away when no execution is left
    that began before: what they hold is sealed with it.
    """
    from kwe.local.bootstrap import connection
    from kwe.local.resealing import reseal, vault_of

    async def work() -> int:
        environ = _environ()
        vault = vault_of(environ)
        async with connection(environ) as database:
            return await reseal(database, vault)

    messages().print(f"{complete(work())} sealed with the new key")


@admin.command("list-keys")
@click.option("--organization", required=True, help="Its name.")
@output_option
def list_keys(organization: str, output: str) -> None:
    """List the API keys of an organisation, newest first. The keys themselves are kept nowhere.

    \b
      kwe admin list-keys --organization acme
    """
    from kwe.local import bootstrap

    async def work() -> list[dict[str, Any]] | None:
        async with bootstrap.connection(_environ()) as database:
            id = await bootstrap.find_organization(database, organization)
            return None if id is None else await bootstrap.list_keys(database, id)

    keys = complete(work())
    if keys is None:
        raise _no_organization(organization)
    if output == "json":
        print_json([_shown(key) for key in keys])
        return
    rows = [
        (key["id"], key["name"], " ".join(key["scopes"]), key["created_at"], _state(key))
        for key in keys
    ]
    print_table(("ID", "NAME", "SCOPES", "CREATED", "STATE"), rows, empty="no keys")


@admin.command("revoke-key")
@click.argument("key_id", metavar="ID", type=click.UUID)
@output_option
def revoke_key(key_id: UUID, output: str) -> None:
    """Revoke the API key ID, as `list-keys` names it. Gateways forget it within five seconds.

    \b
      kwe admin revoke-key 01a2059e-1416-7ae6-829a-4bca29d4d140
    """
    from kwe.errors import NotFound
    from kwe.local import bootstrap

    async def work() -> bool:
        async with bootstrap.connection(_environ()) as database:
            return await bootstrap.revoke_key(database, key_id)

    if not complete(work()):
        raise NotFound(404, {"detail": f"there is no API key {key_id}: kwe admin list-keys"})
    if output == "json":
        print_json({"id": str(key_id), "revoked": True})
    else:
        messages().print("revoked", style="dim")


def _no_organization(name: str) -> Exception:
    from kwe.errors import NotFound

    advice = f"there is no organisation {name}: kwe admin create-organization creates it"
    return NotFound(404, {"detail": advice})


def _state(key: dict[str, Any]) -> str:
    if key["revoked_at"] is not None:
        return "revoked"
    expires = key["expires_at"]
    if expires is None:
        return "valid"
    return "expired" if expires <= datetime.now(UTC) else f"valid until {expires:%Y-%m-%d}"


def _shown(key: dict[str, Any]) -> dict[str, Any]:
    moments = {name: key[name] for name in ("created_at", "expires_at", "revoked_at")}
    return {
        "id": str(key["id"]),
        "name": key["name"],
        "scopes": list(key["scopes"]),
        "state": _state(key),
        **{name: None if at is None else at.isoformat() for name, at in moments.items()},
    }


def _environ() -> dict[str, str]:
    from kwe.local.settings import local_environment

    return local_environment(os.environ)
