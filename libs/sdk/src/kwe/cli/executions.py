"""kwe executions"""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import click

from kwe.cli.connecting import ask
from kwe.cli.output import ago, console, messages, output_option, print_json, print_table
from kwe.cli.timeline import describe_error, print_event, print_timeline


@click.group()
def executions() -> None:
    """Look at executions and control them.

    \b
      kwe executions list --status faulted
      kwe executions why 0199c0de-…
    """


@executions.command("list")
@click.option("--status", help="Such as running, or faulted,cancelled.")
@click.option("--workflow", help="namespace/name, or a namespace.")
@click.option("--label", metavar="NAME:VALUE")
@click.option("--limit", default=20, show_default=True)
@output_option
def list_(
    status: str | None, workflow: str | None, label: str | None, limit: int, output: str
) -> None:
    """List executions, newest first."""

    async def collected(client: Any) -> list[Any]:
        pages = client.list(status=status, workflow=workflow, label=label, limit=limit)
        return [item async for item in pages]

    found = ask(collected)
    if output == "json":
        print_json(found)
        return
    rows = [
        (one.id, f"{one.workflow} {one.workflow.version}", one.status, one.created_at)
        for one in found
    ]
    print_table(["ID", "WORKFLOW", "STATUS", "CREATED"], rows, empty="no executions")


@executions.command()
@click.argument("id")
@output_option
def show(id: str, output: str) -> None:
    """Show one execution: its input, output or error, and the timeline of its tasks."""

    async def both(client: Any) -> tuple[Any, Any]:
        return await client.get(id), await client.tasks(id)

    execution, tasks = ask(both)
    if output == "json":
        print_json({**execution.model_dump(mode="json", by_alias=True), "tasks": _plain(tasks)})
        return
    facts = [
        ("workflow", f"{execution.workflow} {execution.workflow.version}"),
        ("status", execution.status),
        ("created", ago(execution.created_at)),
        ("input", _short(execution.input)),
        ("output", _short(execution.output)),
        ("error", describe_error(execution.error) if execution.error else None),
    ]
    print_table([execution.id, ""], [fact for fact in facts if fact[1] is not None], empty="")
    console().print()
    print_timeline(execution, tasks)


@executions.command()
@click.argument("id")
@output_option
def why(id: str, output: str) -> None:
    """Say why an execution is not moving."""
    execution = ask(lambda client: client.get(id))
    if output == "json":
        print_json(list(execution.waiting_for))
    elif execution.is_finished:
        reason = f": {describe_error(execution.error)}" if execution.error else ""
        console().print(f"it has ended, {execution.status}{reason}", markup=False)
    elif not execution.waiting_for:
        console().print("it is moving right now")
    else:
        for one in execution.waiting_for:
            since = f" (for {ago(one.since).removesuffix(' ago')})" if one.since else ""
            console().print(f"{one.reason}{since}", markup=False)


@executions.command()
@click.argument("id")
@click.option("--after", default=0, help="Only after this sequence number.")
@output_option
def history(id: str, after: int, output: str) -> None:
    """List every event of an execution by its sequence number."""

    async def collected(client: Any) -> list[dict[str, Any]]:
        return [item async for item in client.history(id, after=after)]

    found = ask(collected)
    if output == "json":
        print_json(found)
        return
    rows = [
        (one["sequence"], one["at"], one["type"], one.get("task"), _short(one.get("error")))
        for one in found
    ]
    print_table(["SEQ", "AT", "EVENT", "TASK", "ERROR"], rows, empty="no events")


@executions.command()
@click.argument("id")
@click.option("--after", default=0, help="Only after this sequence number.")
@output_option
def watch(id: str, after: int, output: str) -> None:
    """Follow the events of an execution until it ends."""

    async def follow(client: Any) -> None:
        async with aclosing(client.stream(id, after=after)) as events:
            async for event in events:
                if output == "json":
                    click.echo(event.model_dump_json(exclude_none=True))
                else:
                    print_event(event)

    ask(follow)


def _control(action: str, sentence: str, done: str) -> None:
    @executions.command(action, help=sentence)
    @click.argument("ids", nargs=-1, required=True)
    @click.option("--reason", default="", help="Recorded in the history.")
    def control(ids: tuple[str, ...], reason: str) -> None:
        async def each(client: Any) -> None:
            for id in ids:
                await getattr(client, action)(id, reason=reason)
                messages().print(f"{done} {id}")

        ask(each)


_control("cancel", "Cancel executions: what runs is aborted.", "cancelled")
_control("suspend", "Suspend executions: what runs finishes, nothing new begins.", "suspended")
_control("resume", "Resume suspended executions.", "resumed")


def _plain(tasks: Any) -> list[Any]:
    return [task.model_dump(mode="json", by_alias=True) for task in tasks]


def _short(value: Any) -> str | None:
    """One line of at most a few hundred characters."""
    if value is None:
        return None
    import orjson

    text = orjson.dumps(value, default=str).decode()
    return text if len(text) <= 300 else f"{text[:300]}… (-o json shows all)"
