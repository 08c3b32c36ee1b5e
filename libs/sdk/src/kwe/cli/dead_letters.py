"""kwe dead-letters"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from kwe.cli.connecting import ask
from kwe.cli.output import messages, output_option, print_json, print_table


@click.group("dead-letters")
def dead_letters() -> None:
    """Messages that were set aside because handling them failed again and again."""


@dead_letters.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only those not published again yet.")
@output_option
def list_(only_open: bool, output: str) -> None:
    """List them with their reasons."""

    async def collected(client: Any) -> list[dict[str, Any]]:
        wanted = False if only_open else None
        return [item async for item in client.dead_letters(redriven=wanted)]

    found = ask(collected)
    if output == "json":
        print_json(found)
        return
    rows = [
        (
            one["id"],
            datetime.fromisoformat(one["createdAt"]),
            one["reason"],
            one["executionId"],
            "redriven" if one["redrivenAt"] else "open",
        )
        for one in found
    ]
    columns = ["ID", "CREATED", "REASON", "EXECUTION", "STATE"]
    print_table(columns, rows, empty="no dead letters")


@dead_letters.command()
@click.argument("ids", nargs=-1, required=True)
def redrive(ids: tuple[str, ...]) -> None:
    """Publish messages once more, after what broke them was mended."""

    async def each(client: Any) -> None:
        for id in ids:
            await client.redrive(id)
            messages().print(f"published {id} again")

    ask(each)
