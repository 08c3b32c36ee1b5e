"""What compiled code runs on: the scope behind it, its local variables and its budget."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from workflow.expressions.errors import NeedsWorker

if TYPE_CHECKING:
    from workflow.expressions.expression import Expression


class Scope(Protocol):
    """Where an expression finds its data. Every method may raise, and what it raises gets out.

    Values are read, never changed; results may share parts with them.
    """

    def current(self) -> Any:
        """What `.` is."""

    def variable(self, name: str) -> Any:
        """What `$name` is, for a name in the expression's `variables`."""

    def slow(self, expression: "Expression") -> Any:
        """The value of an expression that is not for this process: from a worker, or raised for.

        Asked for expressions that are not `is_fast`, and for fast ones whose data turned out to
        be too large or too particular.
        """


class Frame:
    """One evaluation."""

    __slots__ = ("_scope", "locals", "steps")

    def __init__(self, scope: Scope, steps: int, locals_count: int) -> None:
        self._scope = scope
        self.steps = steps
        self.locals: list[Any] = [None] * locals_count

    def current(self) -> Any:
        return self._scope.current()

    def variable(self, name: str) -> Any:
        return self._scope.variable(name)

    def charge(self, cost: int) -> None:
        """Take the cost of data-dependent work off the budget."""
        self.steps -= cost
        if self.steps < 0:
            raise NeedsWorker


One = Callable[[Any, Frame], Any]
Many = Callable[[Any, Frame], Iterable[Any]]


@dataclass(frozen=True, slots=True)
class Code:
    """Compiled: either `one`, with exactly one output, or `many`, a stream of them.

    Both take the value that `.` is at this place, and the frame. A stream may raise when it is
    asked for as well as when it is read.
    """

    one: One | None = None
    many: Many | None = None

    def stream(self) -> Many:
        if self.many is not None:
            return self.many
        one = self.one
        assert one is not None
        return lambda value, frame: (one(value, frame),)
