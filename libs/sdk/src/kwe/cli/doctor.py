"""kwe doctor"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kwe.cli.connecting import connected
from kwe.cli.failures import FAILED, complete, exit_code_of
from kwe.cli.output import console, messages, output_option, print_json
from kwe.errors import KweError, NotConfigured

if TYPE_CHECKING:
    from kwe.client import Client

SETTINGS: Final = ("DATABASE_URL", "DATABASE_URL_FILE", "REDIS_URL", "SECRETS_SOURCE", "APP_ENV")
"""Any of them says that this is a place in which services run, or could."""

MARKS: Final = {
    "ok": "[green]✓[/green]",
    "warning": "[yellow]![/yellow]",
    "problem": "[red]✗[/red]",
}


@dataclass(frozen=True, slots=True)
class Seen:
    check: str
    level: str
    detail: str
    remedy: str = ""
    code: int = 0
    """What the command ends with because of it."""

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "level": self.level,
            "ok": self.level != "problem",
            "detail": self.detail,
            "remedy": self.remedy or None,
        }


@click.command()
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Variables of the deployment, such as .env.production.",
)
@output_option
def doctor(env_file: Path | None, output: str) -> int:
    """Find out what is wrong, and how to mend it: settings, PostgreSQL, Redis, streams, clocks, the server.

    It looks from where it is run, with the variables of the environment, of --env-file or of this folder's `kwe up`,
    and changes nothing. Warnings leave the exit code 0.

    \b
      kwe doctor --env-file .env.production
      docker compose exec orchestrator kwe doctor
    """
    found = complete(_examine(env_file))
    worst = max(seen.code for seen in found)
    if output == "json":
        print_json([seen.as_json() for seen in found])
        return worst
    _print(found)
    if worst:
        messages().print("not everything is well", style="red")
    return worst


def _print(found: list[Seen]) -> None:
    from rich.markup import escape

    width = max(len(seen.check) for seen in found)
    for seen in found:
        console().print(f"{MARKS[seen.level]} {seen.check:<{width}} {escape(seen.detail)}")
        if seen.remedy:
            console().print(f"  {'':<{width}} [dim]→[/dim] {escape(seen.remedy)}")


async def _examine(env_file: Path | None) -> list[Seen]:
    found: list[Seen] = []
    environ = _environment(env_file)
    if environ is not None:
        found += await _surroundings(environ)
    try:
        from kwe.credentials import find_credentials

        credentials = find_credentials()
        found.append(Seen("credentials", "ok", f"{credentials.url}, key from {credentials.source}"))
        async with connected() as client:
            found.extend([check async for check in _checks(client)])
    except NotConfigured as error:
        # Where the services run there need not be a key.
        level, code = ("problem", exit_code_of(error)) if environ is None else ("warning", 0)
        found.append(Seen("credentials", level, "the API was not asked", str(error), code))
    except KweError as error:
        found.append(Seen("server", "problem", str(error), code=exit_code_of(error)))
    return found


def _environment(env_file: Path | None) -> Mapping[str, str] | None:
    """The variables to look with, or `None` where this place knows none."""
    from kwe.local.env_files import read_env_file
    from kwe.local.settings import local_environment

    if env_file is not None:
        return {**read_env_file(env_file), **{k: v for k, v in os.environ.items() if v}}
    if any(os.environ.get(name) for name in SETTINGS):
        return dict(os.environ)
    try:
        return local_environment(os.environ)
    except NotConfigured:
        return None


async def _surroundings(environ: Mapping[str, str]) -> list[Seen]:
    try:
        from kwe.local.examination import examine
    except ModuleNotFoundError:
        return []  # the client alone is installed: the server looks after the rest
    return [
        Seen(
            one.check,
            one.level.value,
            one.detail,
            one.remedy,
            FAILED if one.level == "problem" else 0,
        )
        async for one in examine(environ)
    ]


async def _checks(client: Client) -> AsyncIterator[Seen]:
    ready: Any = await client.transport.get("/ready")
    yield Seen("server", "ok", f"{ready['status']} at {client.transport.url}")
    state = await client.invariants()
    if state["ok"]:
        yield Seen("executions", "ok", f"{state['unfinished']} unfinished, each with a live reason")
    else:
        examples = ", ".join(one["id"] for one in state["examples"][:3])
        detail = f"{state['orphans']} have no live reason to wait: {examples}"
        yield Seen("executions", "problem", detail, "docs/runbooks/KweOrphans.md", FAILED)
    letters = [item async for item in client.dead_letters(redriven=False)]
    if letters:
        detail = f"{len(letters)} messages were set aside"
        yield Seen("dead letters", "problem", detail, "kwe dead-letters list", FAILED)
    else:
        yield Seen("dead letters", "ok", "none")
