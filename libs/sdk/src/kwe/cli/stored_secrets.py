"""kwe secrets set, list, delete: what workflows read as `$secrets`."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from kwe.cli.connecting import ask
from kwe.cli.failures import UsageProblem
from kwe.cli.output import messages, output_option, print_json, print_table


@click.command("set")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="The value is JSON, not a text.")
@click.option(
    "--from-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read the value from this file; a line end at its end is left out.",
)
def set_(name: str, as_json: bool, from_file: Path | None) -> None:
    """Set the secret NAME, which workflows with `use: {secrets: [NAME]}` read as `$secrets.NAME`.

    The value is asked for, or read from standard input: on the command line others could see it.

    \b
      kwe secrets set github-token
      kwe secrets set --json login <<< '{"username": "ada", "password": "…"}'
    """
    text = _read(name, from_file)
    value: Any = text
    if as_json:
        try:
            value = json.loads(text)
        except ValueError:
            raise UsageProblem("--json: the value is not JSON") from None
    answer = ask(lambda client: client.set_secret(name, value))
    messages().print(f"{name} is set, version {answer['version']}")


@click.command("list")
@output_option
def list_(output: str) -> None:
    """List the names of secrets; values are never shown."""

    async def collected(client: Any) -> list[dict[str, Any]]:
        return [item async for item in client.secrets()]

    found = ask(collected)
    if output == "json":
        print_json(found)
        return
    rows = [
        (one["name"], one["version"], datetime.fromisoformat(one["updatedAt"])) for one in found
    ]
    print_table(["NAME", "VERSION", "SET"], rows, empty="no secrets")


@click.command()
@click.argument("names", nargs=-1, required=True)
def delete(names: tuple[str, ...]) -> None:
    """Delete secrets. Executions that still read them fault."""

    async def each(client: Any) -> None:
        for name in names:
            await client.delete_secret(name)
            messages().print(f"{name} is deleted")

    ask(each)


def _read(name: str, file: Path | None) -> str:
    if file is not None:
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UsageProblem(f"{file} cannot be read: {reason}") from None
    elif sys.stdin.isatty():
        text = click.prompt(f"Value of {name}", hide_input=True, err=True)
    else:
        text = sys.stdin.read()
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UsageProblem("the value is empty: type it, or pipe it in")
    return text
