"""Whole executions in memory and in virtual time: for tests of workflows, and of the core itself.

The answers of functions are scripted; hours of waiting take no time. Sub-workflows run as executions of their own. Every turn is
stored and read back, as a host would do at its worst moment, so a rehearsal sees what a crash between any two turns would show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from workflow.core.effects import Effects, OpenWait, Phase, WaitKind
from workflow.core.errors import ErrorKind, error_of
from workflow.core.messages import (
    Cancel,
    ChildClosed,
    Continue,
    EventArrived,
    Fault,
    Message,
    Start,
    TaskCompleted,
    TaskFailed,
    TimerFired,
)
from workflow.core.plan import Plan, compile_plan
from workflow.core.rehearsed_events import RehearsedEvents
from workflow.core.snapshot import decode
from workflow.core.state import State, derived_id, new_state
from workflow.core.turn import Turn, TurnResult
from workflow.core.values import Json, Secrets, Value
from workflow.core.work import (
    EvaluationFailure,
    EvaluationResult,
    Limits,
    NeedEvaluation,
    NeedSecrets,
    NeedValues,
)
from workflow.document.catalog import FunctionCatalog, Functions

ROOT_ID = "01900000-0000-7000-8000-000000000001"
START_MS = 1_700_000_000_000


@dataclass(frozen=True, slots=True)
class Reply:
    """How a function answers a call."""

    output: Json = None
    after_ms: int = 0
    error: Mapping[str, Json] | None = None
    """RFC 7807; then the call fails."""
    retryable: bool = True
    retry_after_ms: int | None = None


NEVER = Reply(after_ms=-1)
"""The function does not answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that an execution made."""

    name: str
    reference: str
    function: str
    input: Json
    attempt: int
    task_id: str
    at_ms: int


Script = Callable[[Call], Reply | Json] | Sequence[Reply | Json]
"""What a task answers: computed, or one answer after another, the last of them for ever."""


@dataclass(slots=True)
class Rehearsed:
    """One execution of a rehearsal, and what is known of it from outside."""

    plan: Plan
    state: State
    parent: tuple[str, str] | None = None
    """Execution and key of the wait."""
    phase: Phase = Phase.PENDING
    output: Json = None
    secrets: Secrets = None
    error: Mapping[str, Json] | None = None
    history: list[dict[str, Json]] = field(default_factory=list)
    open: dict[str, OpenWait] = field(default_factory=dict)
    snapshot: bytes = b""
    now_ms: int = START_MS

    def events(self, type: str) -> list[str]:
        """Names of the tasks that had this event, in order."""
        return [event["name"] for event in self.history if event["type"] == f"task.{type}"]


class Rehearsal:
    """A small world: executions, functions that answer, a clock that jumps."""

    def __init__(
        self,
        *documents: Mapping[str, Json],
        answers: Mapping[str, Script] | None = None,
        functions: FunctionCatalog | None = None,
        limits: Limits | None = None,
        evaluate: Callable[[NeedEvaluation], EvaluationResult | EvaluationFailure] | None = None,
        secrets: Mapping[str, Json] | None = None,
    ) -> None:
        catalog = functions or Functions()
        self._plans = [compile_plan(document, catalog) for document in documents]
        self._answers = dict(answers or {})
        self._limits = limits or Limits()
        self._evaluate = evaluate or evaluate_here
        self._secrets = dict(secrets or {})
        self._sealed: dict[tuple[str, str], Secrets] = {}
        self._asked: dict[str, int] = {}
        self._agenda: list[tuple[int, int, str, Message | Mapping[str, Json]]] = []
        self._tickets = count()
        self._values: dict[tuple[str, str], bytes] = {}
        self.events = RehearsedEvents()
        self._moved = False
        self.executions: dict[str, Rehearsed] = {}
        self.calls: list[Call] = []
        self.now_ms = START_MS

    def run(self, input: Json = None, *, until_ms: int | None = None) -> Rehearsed:
        """Start the first document and let the world run until nothing more will happen."""
        root = self.start(self._plans[0], ROOT_ID, Value({} if input is None else input))
        self.proceed(until_ms)
        return root

    def start(
        self, plan: Plan, id: str, input: Value, parent: tuple[str, str] | None = None
    ) -> Rehearsed:
        header = plan.document["document"]
        names = {name: header[name] for name in ("namespace", "name", "version")}
        execution = Rehearsed(plan, new_state(id, **names), parent)
        self.executions[id] = execution
        self.events.begin(id)
        self.send(id, Start(input))
        return execution

    def post(self, event: Mapping[str, Json], after_ms: int = 0) -> None:
        """An event from outside, at some instant from now."""
        heappush(self._agenda, (self.now_ms + after_ms, next(self._tickets), "", event))

    def send(self, id: str, message: Message, after_ms: int = 0) -> None:
        heappush(self._agenda, (self.now_ms + after_ms, next(self._tickets), id, message))

    def proceed(self, until_ms: int | None = None) -> None:
        """Deliver messages in order of time, up to an instant if one is given."""
        while self._agenda and (until_ms is None or self._agenda[0][0] <= until_ms):
            due_at, _, id, message = heappop(self._agenda)
            self.now_ms = max(self.now_ms, due_at)
            if isinstance(message, Mapping):
                self.events.keep(message)
            else:
                self.deliver(id, message)
            self._offer(moved=isinstance(message, Mapping))

    def deliver(self, id: str, message: Message) -> TurnResult:
        """One turn with one message, from the stored snapshot to the next."""
        execution = self.executions[id]
        if execution.snapshot:
            execution.state = decode(execution.snapshot, execution.plan)
        result = self.decide(id, execution.state, message)
        self.events.settle(id, result.effects)
        if isinstance(message, EventArrived):
            self.events.delivered(id, message)
        self._moved = result.changed
        if result.changed:
            self._commit(id, execution, result)
        return result

    def _offer(self, *, moved: bool) -> None:
        """Offer what no listener has decided about, whenever something has changed."""
        if moved or self._moved:
            for id, arrival in self.events.offers():
                self.send(id, arrival)

    def decide(self, id: str, state: State, message: Message) -> TurnResult:
        """The turn itself, with whatever it asks for."""
        turn = Turn(self.executions[id].plan, state, now_ms=self.now_ms, limits=self._limits)
        answer = turn.run(message)
        while isinstance(answer, NeedValues | NeedEvaluation | NeedSecrets):
            if isinstance(answer, NeedValues):
                turn.supply_values(
                    {ref: self._values[id, ref] for ref in answer.references},
                    {ref: self._sealed[id, ref] for ref in answer.references},
                )
            elif isinstance(answer, NeedSecrets):
                self._supply_secrets(turn, answer)
            else:
                turn.supply_evaluation(self._evaluate(answer))
            answer = turn.resume()
        return turn.finish()

    def _supply_secrets(self, turn: Turn, need: NeedSecrets) -> None:
        absent = [name for name in need.names if name not in self._secrets]
        obstacle = f"there is no secret {absent[0]!r}" if absent else ""
        known = {name: self._secrets[name] for name in need.names if name in self._secrets}
        turn.supply_secrets(known, obstacle)

    def _commit(self, id: str, execution: Rehearsed, result: TurnResult) -> None:
        effects = result.effects
        execution.snapshot = result.snapshot
        execution.history.extend(effects.events)
        execution.now_ms = self.now_ms
        for event in effects.emitted:
            self.events.keep(event)
        for value in effects.values:
            self._values[id, value.id] = value.raw
            self._sealed[id, value.id] = value.secrets
        for key in effects.closed:
            del execution.open[key]
        self._open(id, execution, effects)
        if effects.phase is not None:
            execution.phase = effects.phase
            execution.error = effects.error
            if effects.output is not None:
                execution.output = self._read(id, effects.output)
                execution.secrets = effects.output.secrets
            if effects.phase.is_final:
                self._tell_parent(execution)
        for key in effects.cancelled_children:
            if (child_id := _child_id(id, key)) in self.executions:
                self.send(child_id, Cancel("the parent ended"))

    def _open(self, id: str, execution: Rehearsed, effects: Effects) -> None:
        for wait in effects.opened:
            if wait.child is None or wait.child.awaited:
                execution.open[wait.key] = wait
            if wait.task is not None:
                self._call(id, wait)
            elif wait.child is not None:
                self._start_child(id, wait)
            elif wait.kind is WaitKind.TIMER:
                assert wait.due_at is not None
                self.send(id, TimerFired(wait.key), wait.due_at - self.now_ms)
            elif wait.kind is WaitKind.CONTINUE:
                self.send(id, Continue())

    def _call(self, id: str, wait: OpenWait) -> None:
        task = wait.task
        assert task is not None
        given = self._read(id, task.input)
        call = Call(
            task.name,
            task.reference,
            task.function,
            given,
            task.attempt,
            task.task_id,
            self.now_ms,
        )
        self.calls.append(call)
        reply = self._answer(call)
        if reply is NEVER:
            return
        message: Message
        if reply.error is None:
            message = TaskCompleted(wait.key, Value(reply.output))
        else:
            error = dict(reply.error)
            message = TaskFailed(wait.key, error, reply.retry_after_ms, reply.retryable)
        self.send(id, message, reply.after_ms)

    def _answer(self, call: Call) -> Reply:
        script = self._answers.get(call.name, self._answers.get(call.function))
        if script is None:
            answer: Reply | Json = call.input
        elif callable(script):
            answer = script(call)
        else:
            asked = self._asked.get(call.name, 0)
            self._asked[call.name] = asked + 1
            answer = script[min(asked, len(script) - 1)]
        return answer if isinstance(answer, Reply) else Reply(answer)

    def _start_child(self, id: str, wait: OpenWait) -> None:
        child = wait.child
        assert child is not None
        for plan in self._plans:
            header = plan.document["document"]
            if (header["namespace"], header["name"]) == (child.namespace, child.name):
                parent = (id, wait.key) if child.awaited else None
                given = Value(self._read(id, child.input), secrets=child.input.secrets)
                self.start(plan, _child_id(id, wait.key), given, parent)
                return
        detail = f"there is no workflow {child.namespace}/{child.name}"
        self.send(id, Fault(wait.key, error_of(ErrorKind.CONFIGURATION, detail)))

    def _tell_parent(self, execution: Rehearsed) -> None:
        if execution.parent is None:
            return
        parent_id, key = execution.parent
        error = dict(execution.error) if execution.error is not None else None
        output = Value(execution.output, secrets=execution.secrets)
        self.send(parent_id, ChildClosed(key, execution.phase.value, output, error))

    def _read(self, id: str, value: Value) -> Json:
        if not value.is_loaded:
            assert value.reference is not None
            place = (id, value.reference.id)
            value.load(self._values[place], self._sealed[place])
        return value.json


def _child_id(parent: str, key: str) -> str:
    return derived_id(parent, f"child/{key}")


def evaluate_here(need: NeedEvaluation) -> EvaluationResult | EvaluationFailure:
    """Evaluate with jq in this process. Unguarded: for the tests of one's own workflows only."""
    import jq  # type: ignore[import-not-found]  # It ships no types.

    try:
        outputs = jq.compile(need.source, args=need.variables).input_value(need.current).all()
    except ValueError as error:
        return EvaluationFailure(str(error))
    if len(outputs) > 1:
        return EvaluationFailure("the expression produced more than one value")
    return EvaluationResult(outputs[0] if outputs else None)
