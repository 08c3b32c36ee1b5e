"""kwe run"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import click

from kwe.cli.connecting import connected
from kwe.cli.failures import UsageProblem, complete
from kwe.cli.inputs import parse_input
from kwe.cli.output import console, messages, output_option, print_json
from kwe.cli.timeline import print_event
from kwe.errors import TimedOut

if TYPE_CHECKING:
    from kwe.client import Client, Execution


@click.command()
@click.argument("name")
@click.option("-i", "--input", "text", default="{}", help="JSON or YAML, @FILE, or - for stdin.")
@click.option("--version", help="A semantic version; the highest when left out.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be repeated.")
@click.option("--key", help="Idempotency key: the same key starts nothing twice.")
@click.option("--watch", is_flag=True, help="Show every event as it happens.")
@click.option("--detach", is_flag=True, help="Do not wait for the end; print the id.")
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait for the end.")
@output_option
def run(
    *,
    name: str,
    text: str,
    version: str | None,
    labels: tuple[str, ...],
    key: str | None,
    watch: bool,
    detach: bool,
    timeout: float,
    output: str,
) -> None:
    """Run the workflow NAME (namespace/name) and print its output.

    Ends with 0 when it completed, 1 when it faulted or was cancelled, 5 when it takes longer than --timeout (it
    goes on all the same).

    \b
      kwe run support/refund-policy --input '{"question": "Can I return shoes?"}' --watch
      kwe run support/refund-policy --input @question.yaml -o json
    """
    start = {
        "input": parse_input(text),
        "version": version,
        "labels": _pairs(labels),
        "idempotency_key": key,
    }

    async def work() -> None:
        async with connected() as client:
            started = await client.start(name, **start)
            if detach:
                _print_started(started, output)
                return
            messages().print(f"execution {started.id}", style="dim")
            execution = await _ended(client, started.id, watch and output != "json", timeout)
            show_result(execution, output)
            execution.require_completed()

    complete(work())


def show_result(execution: Execution, output: str) -> None:
    """The whole execution as JSON; for people its output alone, which may also go into a pipe."""
    if output == "json":
        print_json(execution)
    elif execution.status == "completed":
        value = execution.output
        if isinstance(value, str):
            click.echo(value)
        else:
            print_json(value)


async def _ended(client: Client, execution_id: str, watch: bool, timeout: float) -> Execution:
    if not watch:
        return await client.wait(execution_id, timeout=timeout)
    try:
        async with asyncio.timeout(timeout), aclosing(client.stream(execution_id)) as events:
            async for event in events:
                print_event(event)
    except TimeoutError:
        raise TimedOut(
            f"execution {execution_id} has not ended within {timeout:g} s; it goes on"
        ) from None
    return await client.get(execution_id)


def _print_started(started: Any, output: str) -> None:
    if output == "json":
        print_json(started)
    else:
        console().print(started.id)


def _pairs(labels: tuple[str, ...]) -> dict[str, str]:
    pairs = [label.partition("=") for label in labels]
    if bad := next((name for name, separator, _ in pairs if not separator or not name), None):
        raise UsageProblem(f"--label {bad}: write NAME=VALUE")
    return {name: value for name, _, value in pairs}
