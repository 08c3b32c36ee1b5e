"""kwe workflows"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kwe.cli.connecting import ask
from kwe.cli.failures import CommandFailed
from kwe.cli.inputs import read_text
from kwe.cli.output import console, messages, output_option, print_json, print_table


@click.group()
def workflows() -> None:
    """Register, validate and look at workflows."""


@workflows.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_option
def apply(files: tuple[Path, ...], output: str) -> None:
    """Register the definitions in FILES.

    The same version with the same content again changes nothing; other content needs a new version.

    \b
      kwe workflows apply workflow.yaml
    """
    texts = [read_text(file) for file in files]
    answers = ask(lambda client: _each(texts, client.apply))
    if output == "json":
        print_json(answers)
        return
    for file, answer in zip(files, answers, strict=True):
        word = "registered" if answer["created"] else "unchanged"
        console().print(f"{word} {answer['id']} {answer['version']} [dim]({file})[/dim]")
        for warning in answer.get("warnings") or ():
            messages().print(_sentence(str(file), warning), style="yellow")


@workflows.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_option
def validate(files: tuple[Path, ...], output: str) -> None:
    """Say everything that is wrong with the definitions in FILES, with line and advice."""
    texts = [read_text(file) for file in files]
    found = ask(lambda client: _each(texts, client.validate))
    wrong = sum(one["severity"] == "error" for diagnostics in found for one in diagnostics)
    if output == "json":
        print_json(dict(zip(map(str, files), found, strict=True)))
    else:
        for file, diagnostics in zip(files, found, strict=True):
            for one in diagnostics:
                console().print(_sentence(str(file), one), markup=False)
            if not diagnostics:
                console().print(f"{file}: valid", markup=False)
    if wrong:
        raise CommandFailed(f"{wrong} mistake{'s' if wrong > 1 else ''} found")


@workflows.command("list")
@click.option("--namespace", help="Only of this namespace.")
@output_option
def list_(namespace: str | None, output: str) -> None:
    """List workflows, each with its newest registration."""

    async def collected(client: Any) -> list[dict[str, Any]]:
        return [item async for item in client.workflows(namespace=namespace)]

    found = ask(collected)
    if output == "json":
        print_json(found)
        return
    rows = [(one["id"], one["version"], one.get("title"), one.get("summary")) for one in found]
    print_table(
        ["WORKFLOW", "VERSION", "TITLE", "SUMMARY"],
        rows,
        empty="no workflows yet: kwe workflows apply FILE",
    )


@workflows.command()
@click.argument("name")
@click.option("--version", help="A semantic version; the newest registration when left out.")
@output_option
def get(name: str, version: str | None, output: str) -> None:
    """Show the definition of NAME (namespace/name)."""
    found = ask(lambda client: client.workflow(name, version=version))
    if output == "json":
        print_json(found)
        return
    import sys

    from ruamel.yaml import YAML

    writer = YAML()
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.dump(found["definition"], sys.stdout)


async def _each(texts: list[str], call: Any) -> list[Any]:
    return [await call(text) for text in texts]


def _sentence(file: str, one: dict[str, Any]) -> str:
    place = (
        f"{file}:{one['line']}:{one['column']}" if one.get("line") else f"{file}{one['pointer']}"
    )
    advice = f" {one['advice']}" if one.get("advice") else ""
    return f"{place}: {one['severity']}: {one['message']}{advice}"
