"""What a `listen` task compiles to."""

from __future__ import annotations

from workflow.core.compiling import Compiler, Task
from workflow.core.event_filters import ANYTHING, filter_of
from workflow.core.formulas import Reads, bare, transform
from workflow.core.nodes import EventFilter, ForeachSpec, ListenSpec, Reading, Strategy
from workflow.core.schemas import Schema
from workflow.core.values import Json


def listen_spec(compiler: Compiler, task: Task, pointer: str, later: Reads) -> ListenSpec:
    listen = task["listen"]
    strategy, filters = _strategy(listen["to"], later)
    until = listen["to"].get("until")
    ending, ending_filters = (None, ()) if not isinstance(until, dict) else _strategy(until, later)
    return ListenSpec(
        strategy=strategy,
        filters=(*filters, *ending_filters),
        until_from=len(filters),
        until=ending,
        condition=bare(until, later) if isinstance(until, str) else None,
        reading=Reading[(listen.get("read") or "data").upper()],
        foreach=_foreach(compiler, task.get("foreach"), pointer, later),
    )


def _strategy(to: Task, reads: Reads) -> tuple[Strategy, tuple[EventFilter, ...]]:
    if "one" in to:
        return Strategy.ONE, (filter_of(to["one"], reads),)
    if "all" in to:
        return Strategy.ALL, tuple(filter_of(each, reads) for each in to["all"])
    return Strategy.ANY, tuple(filter_of(each, reads) for each in to["any"]) or (ANYTHING,)


def _foreach(compiler: Compiler, foreach: Json, pointer: str, reads: Reads) -> ForeachSpec | None:
    if foreach is None:
        return None
    output, export = foreach.get("output") or {}, foreach.get("export") or {}
    return ForeachSpec(
        each=foreach.get("item") or "item",
        at=foreach.get("at") or "index",
        tasks=compiler.tasks(foreach.get("do") or [], f"{pointer}/foreach/do", "/do"),
        output_as=transform(output["as"], reads) if "as" in output else None,
        output_schema=_schema(output, "output of the iteration"),
        export_as=transform(export["as"], reads) if "as" in export else None,
        export_schema=_schema(export, "exported context"),
    )


def _schema(part: Task, subject: str) -> Schema | None:
    schema = part.get("schema")
    return None if schema is None else Schema(schema["document"], subject)
