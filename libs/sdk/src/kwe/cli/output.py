"""How results are shown: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])

STATUS_STYLES = {
    "completed": "green",
    "ready": "green",
    "faulted": "red",
    "failed": "red",
    "cancelled": "yellow",
    "suspended": "yellow",
    "running": "cyan",
    "queued": "cyan",
}


def output_option(command: F) -> F:
    """Adds `-o json|table`; the command gets it as `output`."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json"]),
        default="table",
        help="Table for people, JSON for programs.",
    )(command)


PIPE_COLUMNS = 160
"""Where there is no terminal there is no width to fit."""


@cache
def console() -> Console:
    from rich.console import Console

    return Console(
        highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_COLUMNS
    )


@cache
def messages() -> Console:
    """For what accompanies a result: it must not end up in a pipe."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, stderr=True)


def print_json(value: Any) -> None:
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    click.echo(orjson.dumps(plain(value), option=options, default=str).decode())


def plain(value: Any) -> Any:
    """Models as the API wrote them."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """`empty` is said where there are no rows."""
    from rich.table import Table

    table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*[cell(value) for value in row])
    if table.row_count:
        console().print(table, soft_wrap=False)
    else:
        messages().print(empty)


def cell(value: Any) -> Any:
    from rich.text import Text

    if value is None:
        return ""
    if isinstance(value, datetime):
        return ago(value)
    text = str(value)
    return Text(text, style=STATUS_STYLES.get(text, ""))


def ago(instant: datetime) -> str:
    """How long since, in the largest fitting unit."""
    seconds = max(0.0, (datetime.now(UTC) - instant).total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
