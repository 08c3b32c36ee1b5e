"""kwe doctor"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from kwe.cli.connecting import connected
from kwe.cli.failures import CommandFailed, complete, exit_code_of
from kwe.cli.output import console, output_option, print_json
from kwe.errors import KweError

if TYPE_CHECKING:
    from kwe.client import Client


@click.command()
@output_option
def doctor(output: str) -> int:
    """Check credentials, the server, its dependencies, and that no execution is stuck."""
    from rich.markup import escape

    found = complete(_examine())
    if output == "json":
        print_json([{"check": what, "ok": code == 0, "detail": text} for what, code, text in found])
    else:
        for what, code, text in found:
            mark = "[green]✓[/green]" if code == 0 else "[red]✗[/red]"
            console().print(f"{mark} {what:<12} {escape(text)}")
    worst = max(code for _, code, _ in found)
    if worst and output != "json":
        raise CommandFailed("not everything is well")
    return worst


async def _examine() -> list[tuple[str, int, str]]:
    found: list[tuple[str, int, str]] = []
    try:
        from kwe.credentials import find_credentials

        credentials = find_credentials()
        found.append(("credentials", 0, f"{credentials.url}, key from {credentials.source}"))
        async with connected() as client:
            found.extend([check async for check in _checks(client)])
    except KweError as error:
        found.append(("server", exit_code_of(error), str(error)))
    return found


async def _checks(client: Client) -> AsyncIterator[tuple[str, int, str]]:
    ready: Any = await client.transport.get("/ready")
    yield "server", 0, f"{ready['status']} at {client.transport.url}"
    state = await client.invariants()
    if state["ok"]:
        yield "executions", 0, f"{state['unfinished']} unfinished, each with a live reason"
    else:
        examples = ", ".join(one["id"] for one in state["examples"][:3])
        yield "executions", 1, f"{state['orphans']} have no live reason to wait: {examples}"
    letters = [item async for item in client.dead_letters(redriven=False)]
    if letters:
        yield "dead letters", 1, f"{len(letters)} messages were set aside: kwe dead-letters list"
    else:
        yield "dead letters", 0, "none"
