"""Where tasks lead: names within a scope, and `then`.

A scope is one task list. `then` may name a task of the list that holds the task. The branches of a
fork run side by side and a function is alone, so neither has a task to continue with.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report, did_you_mean
from workflow.document.source import join
from workflow.document.tasks import NamedTask, SwitchTask, TaskBase, TryTask
from workflow.document.walk import Visit

DIRECTIVES = ("continue", "exit", "end")


def check(document: Examined, report: Report) -> None:
    for visit in document.visits:
        if _is_task_list(visit):
            _check_list(visit, report)
        elif visit.pointer.startswith("/use/functions/") and visit.pointer.count("/") == 3:
            if isinstance(visit.value, TaskBase):
                _check_targets(
                    visit.value, visit.pointer, frozenset(), "a function is alone", report
                )


def _is_task_list(visit: Visit) -> bool:
    value = visit.value
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], NamedTask)


def _check_list(visit: Visit, report: Report) -> None:
    tasks: tuple[NamedTask, ...] = visit.value
    _check_names(tasks, visit.pointer, report)
    is_fork = visit.property == "branches"
    names = frozenset() if is_fork else frozenset(entry.name for entry in tasks)
    why = "the branches of a fork run side by side" if is_fork else ""
    for position, entry in enumerate(tasks):
        pointer = join(visit.pointer, position, entry.name)
        _check_targets(entry.task, pointer, names, why, report)


def _check_names(tasks: tuple[NamedTask, ...], pointer: str, report: Report) -> None:
    seen: dict[str, str] = {}
    for position, entry in enumerate(tasks):
        place = join(pointer, position, entry.name)
        if entry.name in seen:
            line = report.line(seen[entry.name])
            where = f" on line {line}" if line else f" at {seen[entry.name]}"
            report.error(
                Code.DUPLICATE_TASK,
                place,
                f"the name `{entry.name}` is already taken in this list{where}",
                "Give every task of a list a name of its own.",
                of_key=True,
            )
        elif entry.name in DIRECTIVES:
            report.error(
                Code.FLOW,
                place,
                f"a task cannot be named `{entry.name}`, which is a flow directive",
                "Choose another name.",
                of_key=True,
            )
        seen.setdefault(entry.name, place)


def _check_targets(
    task: TaskBase, pointer: str, names: frozenset[str], why: str, report: Report
) -> None:
    for place, target in _targets(task, pointer):
        if target in DIRECTIVES or target in names:
            continue
        if why:
            message = f"`{target}` cannot be continued with from here: {why}"
            report.error(Code.FLOW, place, message, "Use continue, exit or end.")
        else:
            report.error(
                Code.FLOW,
                place,
                f"there is no task `{target}` in this list",
                partial(_target_advice, target, names),
            )


def _target_advice(target: str, names: frozenset[str]) -> str:
    return (
        did_you_mean(target, (*names, *DIRECTIVES))
        or "`then` may name a task of the same list only, or continue, exit, end."
    )


def _targets(task: Any, pointer: str) -> Iterator[tuple[str, str]]:
    if task.then is not None:
        yield join(pointer, "then"), task.then
    match task:
        case SwitchTask():
            for position, item in enumerate(task.switch):
                yield join(pointer, "switch", position, item.name, "then"), item.case.then
        case TryTask() if task.catch.then is not None:
            yield join(pointer, "catch", "then"), task.catch.then
