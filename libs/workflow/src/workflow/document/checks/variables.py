"""Which variables an expression may use at a place of the document.

Variables are lexical: a loop's are known in its `while` and `do`, an error's in the `catch` that
binds it. A function in `use.functions` sees its input, never the variables of its caller. Policies
in `use` are evaluated where they are used, so there any variable of the document may be meant.
"""

import re
from collections import defaultdict
from collections.abc import Iterator

from workflow.document.calls import SubscriptionIterator
from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report
from workflow.document.source import join
from workflow.document.tasks import Catch, ForTask

ALWAYS = frozenset(
    {"context", "input", "output", "secrets", "authorization", "task", "workflow", "runtime"}
)

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ANYWHERE = ("/use/errors", "/use/retries", "/use/timeouts", "/use/authentications")


class Variables:
    """The variables of one document by place."""

    def __init__(self, document: Examined) -> None:
        self._by_place: defaultdict[str, set[str]] = defaultdict(set)
        for name, _, places in _bindings(document):
            for place in places:
                self._by_place[place].add(name)
        declared = {name for names in self._by_place.values() for name in names} | {"error"}
        for place in _ANYWHERE:
            self._by_place[place] |= declared

    def at(self, pointer: str) -> set[str]:
        known = set(ALWAYS)
        while pointer:
            known |= self._by_place.get(pointer, set())
            pointer = pointer.rpartition("/")[0]
        return known


def check(document: Examined, report: Report) -> None:
    """The names given to variables can be used as such."""
    for name, pointer, _ in _bindings(document):
        if name in ALWAYS:
            message = f"a variable cannot be named `{name}`: ${name} has a meaning already"
        elif not _IDENTIFIER.fullmatch(name):
            message = f"{name[:60]!r} cannot be the name of a variable"
        else:
            continue
        report.error(
            Code.EXPRESSION,
            pointer,
            message,
            "Use letters, digits and _, without `$`; the first one is no digit.",
        )


def _bindings(document: Examined) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Name, pointer to it, and the places below which it is known."""
    for pointer, task in document.each(ForTask):
        places = (join(pointer, "while"), join(pointer, "do"))
        yield task.for_.item_name, join(pointer, "for", "each"), places
        yield task.for_.index_name, join(pointer, "for", "at"), places
    for pointer, catch in document.each(Catch):
        yield catch.error_name, join(pointer, "as"), (pointer,)
    for pointer, each in document.each(SubscriptionIterator):
        yield each.item or "item", join(pointer, "item"), (pointer,)
        yield each.at or "index", join(pointer, "at"), (pointer,)
