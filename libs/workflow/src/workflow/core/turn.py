"""A turn: the messages that arrived for an execution, absorbed one after another.

`run` takes one message and goes as far as it can. It answers `Done`, or says what it needs; the host
supplies that and calls `resume`. After the last message, `finish` gives the new snapshot and the effects.
If the host cannot commit them, the state must be thrown away and loaded again: a turn changes it in place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from workflow.core.absorbing import absorb
from workflow.core.catching import catch
from workflow.core.effects import Effects, OpenWait, Phase, WaitKind
from workflow.core.entering import enter
from workflow.core.flow import fail_as_noted, leave
from workflow.core.forks import join
from workflow.core.listening import advance, consider
from workflow.core.loops import next_turn
from workflow.core.messages import EventArrived, Message
from workflow.core.nodes import Kind
from workflow.core.plan import Plan
from workflow.core.recording import name_outputs, record_workflow, store_results
from workflow.core.snapshot import encode
from workflow.core.state import Frame, State, Step
from workflow.core.values import Json, Secrets, Value
from workflow.core.work import (
    EvaluationFailure,
    EvaluationResult,
    Interrupted,
    Limits,
    NeedEvaluation,
    NeedSecrets,
    NeedValues,
    Work,
)

__all__ = [
    "Done",
    "EvaluationFailure",
    "EvaluationResult",
    "Limits",
    "NeedEvaluation",
    "NeedSecrets",
    "NeedValues",
    "Turn",
    "TurnResult",
]

NO_LIMITS = Limits()

_REMOTE = frozenset({Kind.CALL, Kind.RUN})
_NEXT = {Kind.FOR: next_turn, Kind.FORK: join, Kind.LISTEN: advance}
_IDLE = frozenset({Step.OPEN, Step.GONE})


@dataclass(frozen=True, slots=True)
class Done:
    """The message is absorbed."""


_DONE = Done()

Answer = Done | NeedValues | NeedEvaluation | NeedSecrets


class TurnResult(NamedTuple):
    """What to commit, in one transaction, if the execution is still as it was."""

    snapshot: bytes
    """Empty if nothing changed, or the execution is over."""
    effects: Effects
    sequence_from: int
    """Sequence of the first event of `effects.events`; one above `sequence_to` if there is none."""
    sequence_to: int
    changed: bool
    """False when no message had any effect: then there is nothing to write."""


class Turn:
    def __init__(
        self, plan: Plan, state: State, *, now_ms: int, limits: Limits = NO_LIMITS
    ) -> None:
        self._state = state
        self._work = Work(plan, state, now_ms, limits)
        self._waiting_for: tuple[Value, ...] = ()
        self._phase_before = state.phase

    def run(self, message: Message) -> Answer:
        """Absorb one message. Late and repeated ones change nothing."""
        if absorb(self._work, message):
            self._work.changed = True
        elif not self._work.changed and self._work.arrival is None:
            return _DONE
        return self._drive()

    def supply_values(
        self, loaded: Mapping[str, bytes], secrets: Mapping[str, Secrets] | None = None
    ) -> None:
        """The values that `NeedValues` asked for; `secrets` are of those that were stored sealed."""
        for value in self._waiting_for:
            if value.reference is not None and not value.is_loaded:
                id = value.reference.id
                value.load(loaded[id], secrets.get(id) if secrets else None)
                self._state.weight += len(value.raw)
        self._waiting_for = ()

    def supply_secrets(self, secrets: Mapping[str, Json], obstacle: str = "") -> None:
        """What `NeedSecrets` asked for, or in words what keeps it from being known."""
        self._work.know_secrets(secrets, obstacle)

    def supply_evaluation(self, outcome: EvaluationResult | EvaluationFailure) -> None:
        """What `NeedEvaluation` asked for."""
        self._work.remember(outcome)

    def resume(self) -> Answer:
        """Go on after something was supplied."""
        return self._drive()

    def finish(self) -> TurnResult:
        """Close the turn. The state may be kept for the next one, once the effects are committed."""
        work, state = self._work, self._state
        first = work.sequence_before + 1
        if not work.changed:
            return TurnResult(b"", work.effects, first, state.sequence, changed=False)
        state.agenda = [frame for frame in work.agenda if frame.step not in _IDLE]
        self._settle_continue()
        self._settle_phase()
        if not work.effects.events:
            # Nothing but skipped tasks. Hosts use the sequence as the version of the execution, so whatever changes it
            # must be recorded.
            record_workflow(work, "status-changed", status=state.phase)
        work.settle_waits()
        work.effects.values.extend(store_results(work))
        # What is over is never read again.
        snapshot, values = encode(state) if not state.phase.is_final else (b"", [])
        work.effects.values.extend(values)
        name_outputs(work)
        return TurnResult(snapshot, work.effects, first, state.sequence, changed=True)

    def _drive(self) -> Answer:
        work = self._work
        try:
            if work.arrival is not None:
                self._consider(work.arrival)
                if not work.changed:
                    return _DONE
            if self._state.suspended_key is not None:
                self._drive_suspended()
            else:
                self._drive_agenda(work.agenda)
        except Interrupted as interruption:
            self._waiting_for = interruption.values
            return interruption.need
        return _DONE

    def _consider(self, arrival: EventArrived) -> None:
        """Match an event. Nothing is changed when this is interrupted."""
        self._work.begin_item()
        consider(self._work, arrival)
        self._work.arrival = None
        self._work.end_item()

    def _drive_agenda(self, agenda: deque[Frame]) -> None:
        work = self._work
        while agenda and work.transitions < work.limits.transitions_max:
            self._step(agenda[0])
            agenda.popleft()

    def _drive_suspended(self) -> None:
        """Record what ended meanwhile; leave everything else for later."""
        work = self._work
        for frame in list(work.agenda):
            answered = frame.step is Step.LEAVE and frame.node.kind in _REMOTE
            if answered or frame.step is Step.FAIL:
                self._step(frame)
        work.agenda = deque(frame for frame in work.agenda if frame.step is not Step.GONE)

    def _step(self, frame: Frame) -> None:
        """Do what the frame needs next. Nothing is changed when this is interrupted."""
        work = self._work
        work.begin_item()
        match frame.step:
            case Step.ENTER:
                enter(work, frame)
            case Step.LEAVE:
                leave(work, frame)
            case Step.NEXT:
                _NEXT[frame.node.kind](work, frame)
            case Step.CATCH:
                catch(work, frame)
            case Step.FAIL | Step.CLIMB:
                fail_as_noted(work, frame)
            case Step.OPEN | Step.GONE:
                return  # named twice, or ended while it stood on the agenda
        work.transitions += 1
        work.end_item()

    def _settle_continue(self) -> None:
        """A wait that makes the host come back for what is left on the agenda."""
        work, state = self._work, self._state
        left = bool(state.agenda) and state.suspended_key is None
        if left and state.continue_key is None:
            state.continue_key = f"c{state.next_number()}"
            work.open(OpenWait(state.continue_key, WaitKind.CONTINUE, due_at=work.now_ms))
        elif not left and state.continue_key is not None:
            work.close(state.continue_key)
            state.continue_key = None

    def _settle_phase(self) -> None:
        state = self._state
        if not state.phase.is_final:
            if state.suspended_key is not None:
                state.phase = Phase.SUSPENDED
            elif state.task_waits or state.agenda:
                state.phase = Phase.RUNNING
            else:
                state.phase = Phase.WAITING
        if state.phase is not self._phase_before:
            self._work.effects.phase = state.phase
