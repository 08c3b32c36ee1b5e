"""kwe collections"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from kwe.cli.connecting import ask
from kwe.cli.failures import CommandFailed, UsageProblem
from kwe.cli.inputs import parse_input
from kwe.cli.output import console, messages, output_option, print_json, print_table


@click.group()
def collections() -> None:
    """Fill collections of documents and search them."""


@collections.command()
@click.argument("name")
@click.option("--settings", default="{}", help="JSON or YAML, such as '{passageSize: 600}'.")
@output_option
def create(name: str, settings: str, output: str) -> None:
    """Create the collection NAME."""
    given = parse_input(settings)
    if not isinstance(given, dict):
        raise UsageProblem("--settings should be an object, such as '{passageSize: 600}'")
    created = ask(lambda client: client.create_collection(name, given))
    if output == "json":
        print_json(created)
    else:
        console().print(f"created {name}", markup=False)


@collections.command("list")
@output_option
def list_(output: str) -> None:
    """List collections."""

    async def collected(client: Any) -> list[dict[str, Any]]:
        return [item async for item in client.collections()]

    found = ask(collected)
    if output == "json":
        print_json(found)
        return
    rows = [(one["name"], one["chunks"], one["model"], one["vectorStore"]) for one in found]
    columns = ["COLLECTION", "CHUNKS", "MODEL", "STORE"]
    print_table(columns, rows, empty="no collections yet: kwe collections create NAME")


@collections.command()
@click.argument("name")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--timeout", default=300.0, show_default=True, help="Seconds to wait until ready.")
@output_option
def ingest(name: str, paths: tuple[Path, ...], timeout: float, output: str) -> None:
    """Put the text and Markdown files at PATHS into the collection NAME, and wait until they are ready.

    A folder stands for all such files below it. A file's name is its document's id: the same file again replaces
    the document, and an unchanged one costs nothing.

    \b
      kwe collections ingest policies examples/policies
    """
    from kwe.documents import read_documents

    documents = read_documents(paths)
    finished = ask(lambda client: _ingest(client, name, documents, timeout, output))
    if output == "json":
        print_json(finished)
    else:
        rows = [(one.id, one.status, one.chunks, one.error) for one in finished]
        print_table(["DOCUMENT", "STATUS", "CHUNKS", "ERROR"], rows, empty="no documents")
    failed = sum(one.status == "failed" for one in finished)
    if failed:
        raise CommandFailed(f"{failed} of {len(finished)} documents failed")


@collections.command()
@click.argument("name")
@click.argument("query")
@click.option("--top", "top_k", default=5, show_default=True, help="Passages at most.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "keyword"]),
    default="hybrid",
    show_default=True,
)
@output_option
def search(name: str, query: str, top_k: int, mode: str, output: str) -> None:
    """Search the collection NAME for QUERY.

    \b
      kwe collections search policies "how long do refunds take"
    """
    hits = ask(lambda client: client.search(name, query, top_k=top_k, mode=mode))
    if output == "json":
        print_json(list(hits))
        return
    for hit in hits:
        console().print(
            f"[bold]{hit.score:.3f}[/bold]  {hit.title or hit.id} [dim]{hit.id} "
            f"{hit.start}–{hit.end}[/dim]"
        )
        console().print(f"       {' '.join(hit.text.split())}\n", markup=False, soft_wrap=False)
    if not hits:
        messages().print("nothing found")


async def _ingest(client: Any, name: str, documents: Any, timeout: float, output: str) -> Any:
    from rich.progress import Progress

    from kwe.documents import ingest_documents

    with Progress(console=messages(), transient=True, disable=output == "json") as progress:
        bar = progress.add_task("indexing", total=len(documents))
        return await ingest_documents(
            client,
            name,
            documents,
            timeout=timeout,
            on_finished=lambda _: progress.advance(bar),
        )
