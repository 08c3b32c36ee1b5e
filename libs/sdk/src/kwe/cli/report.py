"""What `kwe up` and `kwe demo` say while they work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kwe.cli.output import console, seconds
from kwe.cli.timeline import describe_error, print_timeline
from kwe.local.example import Told, answer_of

if TYPE_CHECKING:
    from embedded import ServiceStatus
    from kwe.client import Document
    from kwe.local.stack import LocalStack

PASSAGE_CHARACTERS_MAX = 240


def heading(folder: Path) -> None:
    console().print(f"starting, with the data in {folder}", markup=False)


def step(what: str, took: float) -> None:
    console().print(f"  [green]✓[/green] {what:<44} [dim]{seconds(took)}[/dim]")


def note(text: str) -> None:
    from rich.markup import escape

    console().print(f"  [cyan]·[/cyan] {escape(text)}")


class Watcher:
    """Says it when a process dies and when it is back."""

    def __init__(self) -> None:
        self._quiet = False
        self._down: set[str] = set()

    def be_quiet(self) -> None:
        """Everything is being stopped: ends are no news any more."""
        self._quiet = True

    def __call__(self, status: ServiceStatus) -> None:
        if self._quiet:
            return
        if status.state == "crashed":
            self._down.add(status.name)
            console().print(
                f"  [red]![/red] {status.name} ended ({_end(status.exit_code)}); it is started again"
            )
        elif status.state == "ready" and status.name in self._down:
            self._down.discard(status.name)
            note(f"{status.name} is back (process {status.pid})")


def processes(stack: LocalStack) -> None:
    from rich.table import Table

    table = Table(
        "PROCESS", "PID", "STATE", "METRICS", box=None, header_style="bold", padding=(0, 2)
    )
    for name, server in (
        ("postgres", stack.environment.postgres),
        ("valkey", stack.environment.valkey),
    ):
        table.add_row(name, str(server.pid) if server else "", "ready" if server else "yours", "")
    for status in stack.supervisor.statuses():
        url = f"http://127.0.0.1:{status.metrics_port}/metrics"
        table.add_row(status.name, str(status.pid or ""), status.state.value, url)
    console().print(table, soft_wrap=False)


def failed_documents(documents: Sequence[Document]) -> None:
    for document in documents:
        if document.status == "failed":
            note(f"{document.id} failed: {document.error or 'no reason given'}")


def answer(question: str, told: Told) -> None:
    """The question, its answer with citations, and what was done for it."""
    execution = told.execution
    console().print()
    _labelled("Question", question)
    if execution.status != "completed":
        reason = describe_error(execution.error) if execution.error else ""
        _labelled("Failed", f"{execution.status}. {reason}")
    else:
        text, _, citations = answer_of(execution)
        _labelled("Answer", text)
        _provider(execution.output)
        _citations(citations)
    console().print()
    print_timeline(execution, told.tasks)
    console().print(f"\n[dim]execution {execution.id}[/dim]")


def elapsed(total: float) -> None:
    console().print(f"[dim]from the start to the answer: {seconds(total)}[/dim]")


def places(stack: LocalStack, *, example: bool) -> None:
    """Where to go from here."""
    folder = stack.folder
    rows = [
        ("page", f"{stack.url}/"),
        ("API", f"{stack.url}/v1"),
        ("docs", f"{stack.url}/docs  {stack.url}/openapi.json  {stack.url}/asyncapi.json"),
        ("key", f"{folder}/credentials (the command line finds it by itself)"),
        ("logs", f"{folder}/logs"),
    ]
    if example:
        rows.append(("try", "kwe collections search policies 'damaged parcel'"))
    console().print()
    for name, text in rows:
        console().print(f"  [bold]{name:<5}[/bold] {text}", highlight=False)
    console().print("\nCtrl-C stops everything.")


def _labelled(label: str, text: str) -> None:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_row(Text(f"{label:<9}", style="bold"), Text(text))
    console().print(grid, soft_wrap=False)


def _provider(output: Any) -> None:
    provider = output.get("provider") if isinstance(output, Mapping) else None
    if provider == "extractive":
        advice = "quoted by `extractive`, without a language model; set OPENAI_API_KEY or ANTHROPIC_API_KEY for one"
        _labelled("", f"({advice})")
    elif provider:
        _labelled("", f"({provider}, {output.get('model', '')})")


def _citations(citations: Sequence[Any]) -> None:
    for number, citation in enumerate(citations, start=1):
        if not isinstance(citation, Mapping):
            continue
        place = f"{citation.get('id')}, characters {citation.get('start')}–{citation.get('end')}"
        text = " ".join(str(citation.get("text", "")).split())
        if len(text) > PASSAGE_CHARACTERS_MAX:
            text = f"{text[:PASSAGE_CHARACTERS_MAX]}…"
        label = "Citations" if number == 1 else ""
        _labelled(label, f"[{citation.get('number', number)}] {place}\n“{text}”")


def _end(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"signal {-exit_code}"
    return f"exit code {exit_code}"
