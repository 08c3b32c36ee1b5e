"""kwe events"""

from __future__ import annotations

from typing import Any

import click

from kwe.cli.connecting import ask
from kwe.cli.failures import UsageProblem
from kwe.cli.inputs import parse_input
from kwe.cli.output import messages, output_option, print_json


@click.group()
def events() -> None:
    """Send events to the workflows that listen for them.

    \b
      kwe events send com.example.order.paid --data '{"order": 7}'
    """


@events.command()
@click.argument("type", required=False)
@click.option("--data", help="JSON or YAML, @FILE, or - for standard input.")
@click.option("--id", help="With the source, what tells it from all others. [default: a new one]")
@click.option("--source", help="Where it comes from. [default: /kwe]")
@click.option("--subject", help="What it is about.")
@click.option(
    "--attribute", "-a", "attributes", multiple=True, metavar="NAME=VALUE", help="An extension."
)
@click.option("--file", "given", metavar="INPUT", help="Whole CloudEvents: @FILE, or - instead.")
@output_option
def send(
    type: str | None,
    data: str | None,
    attributes: tuple[str, ...],
    given: str | None,
    output: str,
    **named: str | None,
) -> None:
    """Send one event of a TYPE, or the CloudEvents of a file. It returns when they are committed."""
    if (type is None) == (given is None):
        raise UsageProblem("name the type of one event, or a file of CloudEvents with --file")
    if given is not None:
        sent = _from_file(given)
    else:
        parts: dict[str, Any] = {"type": type, **_extensions(attributes)}
        parts.update({name: value for name, value in named.items() if value is not None})
        if data is not None:
            parts["data"] = parse_input(data)
        sent = [parts]
    answer = ask(lambda client: client.send_events(*sent))
    if output == "json":
        print_json(answer)
        return
    known = f", {answer['known']} of them had come before" if answer["known"] else ""
    messages().print(f"{answer['accepted']} kept{known}")


def _from_file(given: str) -> list[dict[str, Any]]:
    found = parse_input(given)
    sent = found if isinstance(found, list) else [found]
    if not all(isinstance(each, dict) for each in sent):
        raise UsageProblem(f"{given.removeprefix('@')} holds no CloudEvent, and no list of them")
    return sent


def _extensions(attributes: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for each in attributes:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageProblem(f"{each}: write an attribute as NAME=VALUE")
        found[name] = value
    return found
