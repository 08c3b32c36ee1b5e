"""The tasks of an execution, derived from its history and its live waits.

The history says what happened to each task in order; the waits say what it is waiting for right now. Nothing else is
stored about tasks, so what is shown here cannot disagree with either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.waiting import DEADLINE, waiting_for

Event = Mapping[str, Any]
Task = dict[str, Any]


def tasks_of(events: Iterable[Event], waits: Sequence[Mapping[str, Any]]) -> list[Task]:
    """One entry per task, in order of creation. Outputs that are stored elsewhere have an `outputRef`."""
    tasks: dict[str, Task] = {}
    for event in events:
        if event["type"].startswith("task."):
            _apply(tasks.setdefault(event["task"], _new(event)), event)
    _add_waits(tasks, waits)
    return list(tasks.values())


def _new(event: Event) -> Task:
    return {
        "taskId": event.get("taskId"),
        "name": event.get("name"),
        "reference": event["task"],
        "kind": None,
        "function": None,
        "status": "pending",
        "tries": 0,
        "createdAt": None,
        "queuedAt": None,
        "startedAt": None,
        "finishedAt": None,
        "output": None,
        "error": None,
        "usage": None,
        "worker": None,
        "waitingFor": None,
    }


def _apply(task: Task, event: Event) -> None:
    at = instant(event["at"])
    match event["type"]:
        case "task.created":
            task.update(createdAt=at, kind=event.get("kind"), function=event.get("function"))
        case "task.started":
            task.update(status="running", queuedAt=at, startedAt=at, finishedAt=None, error=None)
            task["tries"] = max(task["tries"], event.get("attempt", 1))
        case "task.retried":
            task.update(status="waiting", error=event.get("error"))
            task["tries"] = max(task["tries"], event.get("attempt", 1))
        case "task.completed" | "task.faulted" | "task.cancelled" as type:
            _finish(task, event, at, type.removeprefix("task."))


def _finish(task: Task, event: Event, at: datetime, status: str) -> None:
    task.update(status=status, finishedAt=at, error=event.get("error"))
    if "output" in event:
        task["output"] = event["output"]
    if "outputRef" in event:
        task["outputRef"] = event["outputRef"]
    if "outputSize" in event:
        task["outputSize"] = event["outputSize"]
    task["usage"] = event.get("usage")
    task["worker"] = event.get("worker")
    # The executor's own clock says when work began; between queued and that the task only waited.
    if isinstance(began := event.get("startedAt"), int):
        task["startedAt"] = _between(task["queuedAt"], instant(began), at)


def _between(earliest: datetime | None, value: datetime, latest: datetime) -> datetime:
    """Clocks differ between machines; a bar of the timeline must not begin before it was queued."""
    return min(max(value, earliest or value), latest)


def _add_waits(tasks: Mapping[str, Task], waits: Sequence[Mapping[str, Any]]) -> None:
    for wait, reason in zip(waits, waiting_for(waits), strict=True):
        task = tasks.get(wait["reference"])
        if task is None or task["finishedAt"] is not None or wait["kind"] == DEADLINE:
            continue
        if wait["kind"] == "task":
            task.update(status="queued", queuedAt=wait["openedAt"], startedAt=None)
            task["waitingFor"] = reason
        elif task["waitingFor"] is None:
            task.update(status="waiting", waitingFor=reason)


def instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
