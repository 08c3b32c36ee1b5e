"""Functions of `use.functions` that call themselves, by themselves or by way of others.

Recursion is allowed if it may end: the call is behind a condition somewhere. Where every step of the circle is certain, no
execution could ever leave it.
"""

from collections.abc import Collection, Iterator, Mapping

from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report
from workflow.document.source import join, split
from workflow.document.tasks import CallFunctionTask, DoTask, RunTask, SetTask, TaskBase, WaitTask

Calls = Mapping[str, Collection[str]]
"""The functions that each function calls."""

_SECTION = ["use", "functions"]
_PLAIN = (CallFunctionTask, RunTask, SetTask, WaitTask)
"""What comes after these in a list is reached, unless they fail."""


def check(document: Examined, report: Report) -> None:
    use = document.definition.use
    functions = use.functions if use is not None and use.functions is not None else {}
    endless: set[str] = set()
    for circle in _circles({name: list(_certain(task)) for name, task in functions.items()}):
        endless.update(circle)
        report.error(
            Code.RECURSION,
            join("/use/functions", circle[0]),
            f"{_story(circle)}, without an end",
            "Put the call behind an `if` or a `switch`, or loop with `for` or `then`.",
            of_key=True,
        )
    for circle in _circles(_all_calls(document)):
        if not endless.intersection(circle):
            report.warning(
                Code.RECURSION,
                join("/use/functions", circle[0]),
                f"{_story(circle)}; tasks may be nested 100 levels deep",
                "See that it ends soon, or loop with `for` or `then`.",
                of_key=True,
            )


def _story(circle: list[str]) -> str:
    if len(circle) == 1:
        return f"the function `{circle[0]}` calls itself"
    way = " → ".join(f"`{name}`" for name in (*circle[1:], circle[0]))
    return f"the function `{circle[0]}` calls itself by way of {way}"


def _certain(task: TaskBase) -> Iterator[str]:
    """The functions that a task calls whenever it runs and nothing fails."""
    if task.if_ is not None:
        return
    if isinstance(task, CallFunctionTask):
        yield task.call
    elif isinstance(task, DoTask):
        for item in task.do:
            yield from _certain(item.task)
            if not isinstance(item.task, _PLAIN) or item.task.then not in {None, "continue"}:
                return


def _all_calls(document: Examined) -> Calls:
    calls: dict[str, dict[str, None]] = {}
    for pointer, task in document.each(CallFunctionTask):
        place = split(pointer)
        if place[:2] == _SECTION:
            calls.setdefault(place[2], {})[task.call] = None
    return calls


def _circles(calls: Calls) -> Iterator[list[str]]:
    """One circle for each call that leads back to where it came from. Not recursive: documents are long."""
    done: set[str] = set()
    for start in calls:
        path: dict[str, Iterator[str]] = {} if start in done else {start: iter(calls[start])}
        while path:
            name, following = next(reversed(path.items()))
            callee = next(following, None)
            if callee is None:
                path.popitem()
                done.add(name)
            elif callee in path:
                names = list(path)
                yield names[names.index(callee) :]
            elif callee not in done and callee in calls:
                path[callee] = iter(calls[callee])
