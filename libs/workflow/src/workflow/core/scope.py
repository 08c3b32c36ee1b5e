"""What expressions see: the current data, and the variables of the language at this place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workflow.core.extras import LoopState, TryState
from workflow.core.instants import iso8601
from workflow.core.listener_state import ListenState
from workflow.core.nodes import ForSpec, Kind, ListenSpec, TrySpec
from workflow.core.state import Frame
from workflow.core.tree import ancestors
from workflow.core.values import Json, Value
from workflow.expressions import ExpressionFailed

if TYPE_CHECKING:
    from workflow.core.work import Work
    from workflow.expressions import Expression

RUNTIME = {"name": "kwe", "version": "0.1.0", "metadata": {}}


class TaskScope:
    """The scope of one task: its frame, and the value that `.` is now."""

    __slots__ = ("frame", "output", "raw_output", "value", "work")

    def __init__(self, work: Work, frame: Frame, value: Value) -> None:
        self.work = work
        self.frame = frame
        self.value = value
        self.output: Value | None = None
        """The transformed output, once there is one."""
        self.raw_output: Value | None = None

    def current(self) -> Json:
        return self.work.read(self.value)

    def variable(self, name: str) -> Json:
        match name:
            case "context":
                return self.work.read(context_of(self.frame))
            case "input":
                return self._kept(self.frame.input or self.frame.raw)
            case "output":
                return self._kept(self.output)
            case "task":
                return self._task()
            case "workflow":
                return self._workflow()
            case "runtime":
                return RUNTIME
            case "secrets":
                return self.work.secrets()
            case "authorization":
                return None
            case _:
                return self._bound(name)

    def slow(self, expression: Expression) -> Json:
        return self.work.evaluate_elsewhere(expression, self)

    def _kept(self, value: Value | None) -> Json:
        return None if value is None else self.work.read(value)

    def _task(self) -> Json:
        node = self.frame.node
        return {
            "name": node.name,
            "reference": node.pointer,
            "definition": node.definition,
            "input": self._kept(self.frame.raw),
            "output": self._kept(self.raw_output),
            "startedAt": instant(self.frame.started_at or self.work.now_ms),
        }

    def _workflow(self) -> Json:
        state = self.work.state
        return {
            "id": state.facts.id,
            "definition": self.work.plan.document,
            "input": self._kept(state.input),
            "startedAt": instant(state.started_at),
        }

    def _bound(self, name: str) -> Json:
        """A variable that a `for` or a `catch` around the task binds."""
        frame = self.frame
        found = _binding(frame, name, self.work)
        for outer in () if found is not None else ancestors(frame):
            if outer.node.kind is Kind.INLINE:
                break  # a function sees its input, not the variables of its caller
            found = _binding(outer, name, self.work)
            if found is not None:
                break
        if found is None:
            raise ExpressionFailed(f"the variable ${name} is not defined here")
        return self.work.read(found)


def _binding(frame: Frame, name: str, work: Work) -> Value | None:
    spec, extra = frame.node.spec, frame.extra
    if type(spec) is ForSpec and type(extra) is LoopState:
        if name == spec.each:
            return work.item(frame, extra)
        if name == spec.at:
            return Value(extra.index)
    elif type(spec) is TrySpec and type(extra) is TryState and name == spec.error_name:
        return extra.error
    elif type(spec) is ListenSpec and type(extra) is ListenState and spec.foreach is not None:
        if name == spec.foreach.each:
            return extra.current
        if name == spec.foreach.at:
            return Value(extra.turn)
    return None


def context_of(frame: Frame) -> Value:
    """`$context` of the thread a frame belongs to; a branch has that of the fork until it exports."""
    thread = frame.thread
    while thread.context is None:
        parent = thread.parent
        assert parent is not None, "the workflow always has a context"
        thread = parent.thread
    return thread.context


def instant(at_ms: int) -> Json:
    """The language's form of an instant."""
    return {
        "iso8601": iso8601(at_ms),
        "epoch": {"seconds": at_ms // 1000, "milliseconds": at_ms},
    }
