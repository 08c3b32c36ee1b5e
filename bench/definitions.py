"""The workflows that are measured."""

from __future__ import annotations

from typing import Any, Final

QUEUE: Final = "bench"
"""Of the function's own, so that nothing else is served by the same slots."""


def _document(name: str, do: list[dict[str, Any]]) -> dict[str, Any]:
    header = {"dsl": "1.0.3", "namespace": "bench", "name": name, "version": "1.0.0"}
    return {"document": header, "do": do}


def _noop(data: Any) -> dict[str, Any]:
    return {"call": "noop:1.0.0@default", "with": data}


def three() -> dict[str, Any]:
    """Three sequential no-op tasks, each reading the result of the one before."""
    tasks = [{f"step{i}": _noop({"n": "${ .n + 1 }"})} for i in (1, 2, 3)]
    return _document("three", tasks)


PAUSE_S: Final = 0.2


def waiting() -> dict[str, Any]:
    """One task that keeps its executor's slot and does nothing, like a call to a slow service."""
    call = {"call": "pause:1.0.0@default", "with": {"seconds": PAUSE_S}}
    return _document("waiting", [{"pause": call}])


def fork(branches: int) -> dict[str, Any]:
    """One execution that forks into so many no-op tasks and joins them."""
    listed = [{f"branch{i}": _noop({"n": i})} for i in range(branches)]
    return _document(f"fork-{branches}", [{"split": {"fork": {"branches": listed}}}])


def loop() -> dict[str, Any]:
    """A loop over the input's items with one no-op task a turn."""
    body = [{"step": _noop({"n": "${ $item }"})}]
    return _document("loop", [{"each": {"for": {"in": "${ .items }"}, "do": body}}])
