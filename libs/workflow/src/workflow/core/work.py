"""A turn's working memory: the state being changed, what was evaluated, and the effects so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from workflow.core.effects import CancelledTask, Effects, OpenWait, Phase, WaitKind
from workflow.core.errors import ErrorKind, fault
from workflow.core.extras import LoopState
from workflow.core.messages import EventArrived
from workflow.core.nodes import Formula, Node
from workflow.core.plan import Plan
from workflow.core.scope import TaskScope
from workflow.core.state import Frame, State, Step
from workflow.core.stowage import unstow
from workflow.core.tree import attach, task_id_of
from workflow.core.values import (
    Json,
    Secrets,
    Value,
    texts_in,
    together,
    why_not_carried,
)
from workflow.expressions import Expression, ExpressionFailed


@dataclass(frozen=True, slots=True)
class Limits:
    """What an execution may use, whatever its definition says."""

    retry_attempts_max: int | None = None
    """Retries of one `try`; a policy may only ask for fewer."""
    duration_ms_max: int | None = None
    """From start to end, waits included; a definition may only lower it."""
    transitions_max: int = 500
    """Tasks that one turn enters or leaves before it stops and continues later."""
    history_events_max: int = 1_000_000
    """A definition that loops for ever ends here."""
    depth_max: int = 100
    """Tasks within tasks, functions included."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """What an expression came to in another process."""

    value: Json


@dataclass(frozen=True, slots=True)
class EvaluationFailure:
    """Why it came to nothing: its own error, or time or memory ran out."""

    reason: str


@dataclass(frozen=True, slots=True)
class NeedValues:
    """Load these values, then `supply_values` and `resume`."""

    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NeedEvaluation:
    """Evaluate this in a guarded process, then `supply_evaluation` and `resume`."""

    source: str
    current: Json
    variables: dict[str, Json]


@dataclass(frozen=True, slots=True)
class NeedSecrets:
    """Open these secrets of the organisation, then `supply_secrets` and `resume`."""

    names: tuple[str, ...]


_CONCEALED = "the expression failed; it reads secrets, so no more is said"


def truthy(json: Json) -> bool:
    """What jq takes for true: all but null and false."""
    return json is not None and json is not False


class Interrupted(Exception):
    """Ends the attempt at an agenda item until the host has supplied what it needs."""

    def __init__(
        self, need: NeedValues | NeedEvaluation | NeedSecrets, values: tuple[Value, ...] = ()
    ) -> None:
        super().__init__()
        self.need = need
        self.values = values


class Work:
    """Shared by the steps of a turn. Steps first evaluate, which may be interrupted, and only then change anything."""

    def __init__(self, plan: Plan, state: State, now_ms: int, limits: Limits) -> None:
        self.plan = plan
        self.state = state
        self.now_ms = now_ms
        self.limits = limits
        self.effects = Effects()
        self.agenda: deque[Frame] = deque(state.agenda)
        self.transitions = 0
        self.changed = False
        self.sequence_before = state.sequence
        self.large_outputs: list[tuple[dict[str, Json], Value, bool]] = []
        """Events that may have to say where their output is stored; the flag: it must be."""
        self.arrival: EventArrived | None = None
        """An event that is to be matched before anything else is done."""
        self._opened: dict[str, OpenWait] = {}
        self._memo: list[EvaluationResult | EvaluationFailure] = []
        self._memo_secrets: list[Secrets] = []
        self._memo_at = 0
        self._touched: Secrets = None
        """Of what the evaluation at work has read so far."""

        self._secrets: Mapping[str, Json] | None = None
        self._obstacle = ""

    # Reading and evaluating

    def read(self, value: Value) -> Json:
        json = self.loaded(value).json
        if value.secrets is not None:
            self._touched = together(self._touched, value.secrets)
        return json

    def loaded(self, value: Value) -> Value:
        """The value itself, once the host has supplied it."""
        if value.is_loaded:
            return value
        raise self.missing(value)

    def missing(self, *values: Value) -> Interrupted:
        ids = [value.reference.id for value in values if value.reference is not None]
        return Interrupted(NeedValues(tuple(dict.fromkeys(ids))), values)

    def item(self, frame: Frame, loop: LoopState) -> Value:
        """The current item of a loop."""
        item = loop.item(self.state, frame.id)
        if not item.is_loaded:
            raise self.missing(item)
        return item

    def secrets(self) -> Json:
        """`$secrets`: those that the definition names. They are never kept, the host opens them anew each turn."""
        names = self.plan.secrets
        if names and self._secrets is None:
            raise Interrupted(NeedSecrets(names))
        if self._obstacle:
            raise fault(ErrorKind.CONFIGURATION, self._obstacle)
        if self._secrets:
            self._touched = together(self._touched, texts_in(self._secrets))
        return self._secrets or {}

    @property
    def reads_secrets(self) -> bool:
        """Whether the last evaluation read anything that was made from secrets."""
        return self._touched is not None

    def know_secrets(self, secrets: Mapping[str, Json], obstacle: str) -> None:
        self._secrets, self._obstacle = dict(secrets), obstacle

    def evaluate(self, formula: Formula, scope: TaskScope) -> Json:
        """The formula's value; what an expression fails with becomes the task's fault."""
        self._touched = None
        try:
            return formula(scope)
        except ExpressionFailed as error:
            if self._touched is not None:
                raise fault(ErrorKind.EXPRESSION, _CONCEALED) from None
            # `error` in jq can say anything.
            raise fault(ErrorKind.EXPRESSION, str(error).replace("\x00", "\ufffd")) from error

    def evaluate_value(self, formula: Formula, scope: TaskScope) -> Value:
        """The same as a value, proven to be JSON that can be stored and sent."""
        json = self.evaluate(formula, scope)
        try:
            raw = orjson.dumps(json)
        except (TypeError, ValueError) as error:
            raise fault(
                ErrorKind.EXPRESSION, f"the expression's value is not JSON: {error}"
            ) from error
        obstacle = why_not_carried(json, raw)
        if obstacle is not None:
            raise fault(ErrorKind.EXPRESSION, f"the expression's value cannot be used: {obstacle}")
        return Value(json, raw=raw, secrets=self._touched)

    def begin_item(self) -> None:
        self._memo_at = 0

    def end_item(self) -> None:
        self._memo.clear()
        self._memo_secrets.clear()

    def evaluate_elsewhere(self, expression: Expression, scope: TaskScope) -> Json:
        """The n-th slow evaluation of this item: known from an earlier attempt, or needed now."""
        at = self._memo_at
        self._memo_at += 1
        if at == len(self._memo):
            variables = {name: scope.variable(name) for name in sorted(expression.variables)}
            current = scope.current()
            self._memo_secrets[at:] = [self._touched]
            raise Interrupted(NeedEvaluation(expression.source, current, variables))
        self._touched = together(self._touched, self._memo_secrets[at])
        match self._memo[at]:
            case EvaluationResult(value):
                return value
            case EvaluationFailure(reason):
                raise ExpressionFailed(reason)

    def remember(self, outcome: EvaluationResult | EvaluationFailure) -> None:
        self._memo.append(outcome)

    # Changing

    def touch(self, frame: Frame) -> None:
        frame.encoded = None

    def schedule(self, frame: Frame, step: Step) -> None:
        """Put a frame on the agenda."""
        frame.step = step
        frame.encoded = None
        self.agenda.append(frame)

    def spawn(self, node: Node, parent: Frame | None, value: Value) -> Frame:
        """A new activation of a task, to be entered with `value` as its raw input."""
        frame = Frame(self.state.next_number(), node, parent)
        frame.value = value
        attach(frame)
        self.state.frames[frame.id] = self.state.loose[frame.id] = frame
        self.agenda.append(frame)
        return frame

    def drop(self, frame: Frame) -> None:
        """The frame's story is over."""
        unstow(self.state, frame)
        frame.step = Step.GONE
        del self.state.frames[frame.id]
        del self.state.loose[frame.id]
        if frame.parent is not None:
            del frame.parent.children[frame.id]

    def emit(self, event: dict[str, Json]) -> None:
        self.effects.events.append(event)
        self.state.sequence += 1

    def open(self, wait: OpenWait) -> None:
        self._opened[wait.key] = wait
        if wait.kind is WaitKind.TASK:
            self.state.task_waits += 1

    def open_timer(self, key: str, due_at: int, frame: Frame) -> None:
        self.open(OpenWait(key, WaitKind.TIMER, due_at=due_at, reference=frame.path))

    def close(self, key: str) -> None:
        if self._opened.pop(key, None) is None:
            self.effects.closed.append(key)

    def close_task(self, key: str) -> None:
        self.close(key)
        self.state.task_waits -= 1

    def cancel_task(self, frame: Frame, queue: str) -> None:
        """Close the wait for an executor whose result nobody wants any more."""
        key = str(frame.id)
        if key not in self._opened:
            task_id = task_id_of(self.state, frame)
            self.effects.cancelled_tasks.append(CancelledTask(key, task_id, frame.attempt, queue))
        self.close_task(key)

    def start_child(self, wait: OpenWait) -> None:
        """Start a sub-workflow that nothing waits for."""
        self.effects.opened.append(wait)

    def cancel_child(self, key: str) -> None:
        if key not in self._opened:
            self.effects.cancelled_children.append(key)
        self.close(key)

    def end(
        self, phase: Phase, *, output: Value | None = None, error: dict[str, Json] | None = None
    ) -> None:
        """The execution is over. Everything inside the root has ended before."""
        state = self.state
        assert state.root is not None
        assert len(state.frames) == 1
        self.drop(state.root)
        state.root = None
        state.input = None
        for key in (state.continue_key, state.suspended_key):
            if key is not None:
                self.close(key)
        state.continue_key = state.suspended_key = None
        state.phase = phase
        self.effects.output = output
        self.effects.error = error

    def settle_waits(self) -> None:
        """Hand the waits that are still open over to the effects."""
        self.effects.opened.extend(self._opened.values())
        self._opened = {}
