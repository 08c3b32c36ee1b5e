"""What happened, for people: tasks with their times, and events as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kwe.cli.output import STATUS_STYLES, console, seconds

if TYPE_CHECKING:
    from kwe.client import Event, Execution, Task

BAR_CELLS = 32


def print_timeline(execution: Execution, tasks: Sequence[Task]) -> None:
    """A bar per task: dots while it waited in a queue, blocks while it was worked on."""
    from rich.table import Table
    from rich.text import Text

    begin = execution.started_at or execution.created_at
    total = ((execution.finished_at or begin) - begin).total_seconds() or 0.001
    columns = ["TASK", "STATUS", "TRIES", "WAITED", "WORKED"]
    table = Table(*columns, box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("····waited ████worked", no_wrap=True, min_width=BAR_CELLS + 1)
    for task in tasks:
        table.add_row(
            Text(task.name or task.reference),
            Text(task.status, style=STATUS_STYLES.get(task.status, "")),
            str(task.tries or 1),
            seconds(task.waited_seconds) if task.queued_at and task.function else "",
            seconds(task.worked_seconds) if task.started_at else "",
            _bar(task, begin, total),
        )
    console().print(table, soft_wrap=False)


def _bar(task: Task, begin: Any, total: float) -> Any:
    from rich.text import Text

    if task.queued_at is None or task.started_at is None:
        return ""

    def cells(length: float) -> int:
        return round(length / total * BAR_CELLS)

    offset = cells((task.queued_at - begin).total_seconds())
    waited = cells(task.waited_seconds)
    worked = max(1, min(cells(task.worked_seconds), BAR_CELLS - offset - waited))
    return Text.assemble(" " * offset, ("·" * waited, "dim"), ("█" * worked, "green"))


def print_event(event: Event) -> None:
    """One line, or the bare text of a delta."""
    from rich.text import Text

    if event.kind == "task.delta":
        console().print(_delta_text(event.data), end="", markup=False)
        return
    data: Mapping[str, Any] = event.data if isinstance(event.data, Mapping) else {}
    clock = event.time.astimezone().strftime("%H:%M:%S.%f")[:-3] if event.time else ""
    error = data.get("error")
    console().print(
        Text.assemble(
            (f"{event.sequence or '':>4} ", "dim"),
            (f"{clock} ", "dim"),
            (f"{event.kind:<20} ", STATUS_STYLES.get(event.kind.rpartition(".")[2], "")),
            str(data.get("task", "")),
            (f"  {describe_error(error)}" if error else "", "red"),
        )
    )


def describe_error(error: Any) -> str:
    """An RFC 7807 error of the workflow language in one line."""
    if not isinstance(error, Mapping):
        return str(error)
    title = error.get("title") or str(error.get("type", "")).rpartition("/")[2]
    detail = f": {error['detail']}" if error.get("detail") else ""
    where = f" at {error['instance']}" if error.get("instance") else ""
    return f"{title}{detail}{where}"


def _delta_text(data: Any) -> str:
    if isinstance(data, Mapping):
        inner = data.get("data", data)
        return str(inner.get("text", "")) if isinstance(inner, Mapping) else ""
    return ""
