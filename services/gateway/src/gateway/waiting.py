"""Why an execution is not moving, in words, from its live waits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

DEADLINE = "deadline"
_DEADLINE_KEY: Final = re.compile(r"[0-9]+(t|a[0-9]+)")
"""Timers of time limits, by how the core names them: of a task or the workflow, and of one try."""


def parse_waits(text: str | None) -> list[dict[str, Any]]:
    """The waits as the query aggregates them; time limits, which nobody waits for, come last."""
    waits: list[dict[str, Any]] = orjson.loads(text) if text else []
    for wait in waits:
        if wait["kind"] == "timer" and _DEADLINE_KEY.fullmatch(wait["key"]):
            wait["kind"] = DEADLINE
    return sorted(waits, key=lambda wait: bool(wait["kind"] == DEADLINE))


def waiting_for(waits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the API shows of each wait."""
    return [_reason(wait) for wait in waits]


def _reason(wait: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "reason": _words(wait),
        "kind": wait["kind"],
        "reference": wait["reference"],
        "since": wait["openedAt"],
        "until": wait["dueAt"],
        "queue": wait["queue"],
        "executorsLost": wait["lost"],
        "childId": wait["childId"],
    }


def _words(wait: Mapping[str, Any]) -> str:
    where = wait["reference"]
    match wait["kind"]:
        case "task" if wait["published"]:
            lost = f" {wait['lost']} executor(s) died with it." if wait["lost"] else ""
            return f"Task {where} is with the executors of queue {wait['queue']}.{lost}"
        case "task":
            return f"Task {where} waits for room in queue {wait['queue']}: earlier tasks go first."
        case "timer":
            return f"Timer of {where or 'the execution'} runs until {wait['dueAt']}."
        case "deadline":
            return f"{f'Task {where}' if where else 'The execution'} fails if it has not ended by {wait['dueAt']}."
        case "event":
            return f"Task {where} listens for an event."
        case "child":
            return f"Task {where} waits for execution {wait['childId']} to end."
        case "admission":
            return "The organisation's limit of running executions is reached; it starts when another one ends."
        case "continue":
            return "It goes on by itself in a moment: its last turn had reached its bound."
        case "suspended":
            return "It was suspended; resume it to go on."
        case other:
            return f"It waits: {other}."
