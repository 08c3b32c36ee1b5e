"""Running the turns of a batch: pure decisions, with what they ask for loaded in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from common.contracts.executions import (
    CancelExecution,
    ContinueExecution,
    StartExecution,
    SuspendExecution,
)
from orchestrator.deliveries import Group, to_core
from orchestrator.ports import Clock, Evaluator, Store
from workflow.core import messages as core
from workflow.core.turn import Done, Limits, NeedEvaluation, NeedValues, Turn
from workflow.core.values import Reference, Value

log = structlog.get_logger()


@dataclass(slots=True)
class Running:
    """A turn under way, and the messages it has not absorbed yet."""

    group: Group
    turn: Turn
    inbox: list[core.Message]
    step: Done | NeedValues | NeedEvaluation = field(default_factory=Done)

    def go(self) -> None:
        """Absorb messages until the turn needs something or has absorbed all."""
        while isinstance(self.step, Done) and self.inbox:
            self.step = self.turn.run(self.inbox.pop(0))

    def resume(self) -> None:
        self.step = self.turn.resume()
        self.go()


@dataclass(slots=True)
class Undecided:
    """A turn that needs a guarded evaluation: it leaves the batch, and the others are committed meanwhile."""

    running: Running

    @property
    def group(self) -> Group:
        return self.running.group


@dataclass(slots=True)
class Decision:
    decided: list[Group] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)
    poisoned: list[Group] = field(default_factory=list)


class Deciding:
    def __init__(self, *, store: Store, evaluator: Evaluator, clock: Clock, limits: Limits) -> None:
        self._store = store
        self._evaluator = evaluator
        self._clock = clock
        self._limits = limits

    async def decide(self, groups: Sequence[Group]) -> Decision:
        """Run the turns of `groups`; each has its execution attached."""
        decision = Decision()
        running: list[Running] = []
        for group in groups:
            started = await self._begin(group)
            if self._step(started.go, group, decision):
                running.append(started)
        while needy := [each for each in running if isinstance(each.step, NeedValues)]:
            running = [each for each in running if not isinstance(each.step, NeedValues)]
            await self._load_values(needy)
            running += [each for each in needy if self._step(each.resume, each.group, decision)]
        for each in running:
            if isinstance(each.step, NeedEvaluation):
                decision.undecided.append(Undecided(each))
            else:
                each.group.result = each.turn.finish()
                await self._load_output(each.group)
                decision.decided.append(each.group)
        return decision

    async def finish(self, undecided: Undecided) -> None:
        """See one turn through, whatever it needs."""
        running = undecided.running
        while not isinstance(running.step, Done):
            if isinstance(running.step, NeedEvaluation):
                running.turn.supply_evaluation(await self._evaluator.evaluate(running.step))
            else:
                await self._load_values([running])
            running.resume()
        running.group.result = running.turn.finish()
        await self._load_output(running.group)

    async def _begin(self, group: Group) -> Running:
        live = group.live
        assert live is not None
        turn = Turn(
            live.definition.plan, live.state, now_ms=self._clock.now_ms(), limits=self._limits
        )
        inbox: list[core.Message] = []
        for delivery in group.deliveries:
            message = delivery.message
            if type(message) is StartExecution:
                inbox.append(core.Start(_input(group)))
            elif live.version == 0 and not inbox:
                inbox.extend(await self._first_message(group, message))
            else:
                translated = to_core(message, group)
                if translated is not None:
                    inbox.append(translated)
        return Running(group, turn, inbox)

    async def _first_message(self, group: Group, message: object) -> list[core.Message]:
        """An execution that exists but has not begun can be begun, when it may, or cancelled."""
        live = group.live
        assert live is not None
        if live.may_start and isinstance(message, ContinueExecution | SuspendExecution):
            raw = await self._store.load_input(group.execution_id)
            start: list[core.Message] = [core.Start(Value.of_bytes(raw))]
            if isinstance(message, SuspendExecution):
                start.append(core.Suspend(message.reason))
            return start
        if isinstance(message, CancelExecution):
            return [core.Cancel(message.reason)]
        return []

    @staticmethod
    def _step(action: object, group: Group, decision: Decision) -> bool:
        assert callable(action)
        try:
            action()
        except Exception:
            # A bug of ours or a state nobody foresaw: this execution must not take its neighbours down.
            log.exception("turn_failed", execution_id=str(group.execution_id))
            decision.poisoned.append(group)
            return False
        return True

    async def _load_values(self, needy: Sequence[Running]) -> None:
        wanted: list[tuple[UUID, str]] = []
        for each in needy:
            assert isinstance(each.step, NeedValues)
            wanted.extend(
                (each.group.execution_id, reference) for reference in each.step.references
            )
        bodies = await self._store.load_values(wanted)
        for each in needy:
            assert isinstance(each.step, NeedValues)
            each.turn.supply_values(
                {each_id: bodies.get(each_id, b"null") for each_id in each.step.references}
            )

    async def _load_output(self, group: Group) -> None:
        """Outputs and child inputs are stored whole, so bodies that the turn never looked at are read now."""
        assert group.result is not None
        effects = group.result.effects
        values = [effects.output] if effects.output is not None else []
        values += [wait.child.input for wait in effects.opened if wait.child is not None]
        unread = [value for value in values if not value.is_loaded]
        if not unread:
            return
        references = [
            (group.execution_id, value.reference.id) for value in unread if value.reference
        ]
        bodies = await self._store.load_values(references)
        for value in unread:
            assert value.reference is not None
            value.load(bodies.get(value.reference.id, b"null"))


def _input(group: Group) -> Value:
    start = group.start
    assert start is not None
    if start.input_ref is None:
        return Value.of_bytes(group.input_raw)
    reference = Reference(str(start.input_ref.id), start.input_ref.size)
    return Value(known=False, raw=group.input_raw, reference=reference)
