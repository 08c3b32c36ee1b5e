"""Expressions ready to evaluate: compiled once, cached, shared between executions."""

from functools import lru_cache
from typing import Any, Final

from workflow.expressions.analysis import Analysis
from workflow.expressions.combining import NotFast, refuse_growth
from workflow.expressions.compiler import Compiler, Place
from workflow.expressions.errors import (
    ExpressionFailed,
    ExpressionSyntaxError,
    JqError,
    NeedsWorker,
)
from workflow.expressions.frame import Code, Frame, Scope
from workflow.expressions.parser import parse
from workflow.expressions.syntax import Node
from workflow.expressions.tokens import Scan, tokenize

_CACHED_MAX: Final = 4096
CACHED_LENGTH_MAX: Final = 2048
"""Longer texts are compiled each time, so that what is cached stays small whatever documents contain."""
_STEPS_MAX: Final = 20_000
"""Elements that one evaluation may touch in this process; some tens of milliseconds at worst."""
_NODE_STEPS_MAX: Final = 400_000
"""The same, times the size of the program."""
_STEPS_MIN: Final = 1_000
_RESULT_UNITS_MAX: Final = 200_000
"""Elements of a result, a long string counting as one for each 128 characters."""
_SMALL_PROGRAM: Final = 64


class Expression:
    """One jq program. Immutable; of equal source, equal."""

    __slots__ = (
        "_code", "_copies", "_locals_count", "_steps", "is_fast", "source", "uses_current",
        "variables",
    )  # fmt: skip

    def __init__(self, source: str, program: Node) -> None:
        self.source = source
        """The program as a worker should read it: without `${ }`, without comments."""
        analysis = Analysis(program)
        self.variables = frozenset(analysis.variables)
        """Names of the variables that it reads, without `$`."""
        compiler = Compiler()
        self._code: Code | None
        try:
            self._code = compiler.compile(program, Place())
        except NotFast:
            self._code = None
        self.is_fast = self._code is not None
        """Evaluated in this process, unless its data turn out too large or too particular."""
        self.uses_current = compiler.uses_current if self.is_fast else True
        """Whether it may read `.`."""
        self._copies = compiler.copies or analysis.size > _SMALL_PROGRAM
        self._locals_count = compiler.locals_count
        self._steps = max(_STEPS_MIN, min(_STEPS_MAX, _NODE_STEPS_MAX // analysis.size))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"

    def evaluate(self, scope: Scope) -> Any:
        """Its one value; null when it has none. Asks the scope only for what it needs.

        Raises ExpressionFailed, and whatever the scope raises. What is not for this process is
        answered by `scope.slow(self)`.
        """
        code = self._code
        if code is None:
            return scope.slow(self)
        frame = Frame(scope, self._steps, self._locals_count)
        try:
            if code.one is not None:
                result = code.one(None, frame)
            else:
                result = _only(code, frame)
            if self._copies:
                refuse_growth(result, _RESULT_UNITS_MAX)
        except JqError as error:
            raise ExpressionFailed(str(error)) from None
        except (NeedsWorker, RecursionError):
            return scope.slow(self)
        return result


def compile_expression(text: str) -> Expression:
    """Compile bare jq. Raises ExpressionSyntaxError. Cached."""
    return _cached(text) if len(text) <= CACHED_LENGTH_MAX else _compiled(text)


@lru_cache(maxsize=_CACHED_MAX)
def _cached(text: str) -> Expression:
    return _compiled(text)


def _compiled(text: str) -> Expression:
    scan = tokenize(text)
    try:
        return Expression(_without_comments(text, scan), parse(scan.tokens))
    except RecursionError:
        raise ExpressionSyntaxError("the expression is nested too deeply") from None


def _without_comments(text: str, scan: Scan) -> str:
    """Workers get no comments: jq would have to agree with us on where each one ends."""
    pieces: list[str] = []
    start = 0
    for begin, stop in scan.comments:
        pieces.append(text[start:begin])
        start = stop
    pieces.append(text[start:])
    return "".join(pieces).strip()


def _only(code: Code, frame: Frame) -> Any:
    assert code.many is not None
    result: Any = None
    for position, item in enumerate(code.many(None, frame)):
        if position > 0:
            raise ExpressionFailed(
                "the expression produced more than one value; collect them with [ ]"
            )
        result = item
    return result
