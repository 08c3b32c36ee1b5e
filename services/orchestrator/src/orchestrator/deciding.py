"""Running the turns of a batch: pure decisions, with what they ask for loaded in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import structlog

from common.contracts.arrivals import EventsArrived
from common.contracts.executions import (
    CancelExecution,
    ContinueExecution,
    ResumeExecution,
    StartExecution,
    SuspendExecution,
)
from common.security.vault import Unopenable, Vault
from orchestrator.deliveries import Group, Live, to_core
from orchestrator.ports import Clock, Evaluator, Store, ValueMissing
from orchestrator.secrets import NoSecrets, OpenSecrets
from workflow.core import messages as core
from workflow.core.errors import ErrorKind, error_of
from workflow.core.turn import Done, Limits, NeedEvaluation, NeedSecrets, NeedValues, Turn
from workflow.core.values import Reference, Value

log = structlog.get_logger()

_LOADED = (NeedValues, NeedSecrets)
"""What is fetched for a whole batch at once."""


@dataclass(slots=True)
class Running:
    """A turn under way, and the messages it has not absorbed yet."""

    group: Group
    turn: Turn
    inbox: list[core.Message]
    secrets: OpenSecrets
    step: Done | NeedValues | NeedEvaluation | NeedSecrets = field(default_factory=Done)
    known: tuple[dict[str, Any], str] = field(default_factory=lambda: ({}, ""), repr=False)
    """The secrets that the turn asked for, and what is in their way."""

    @property
    def organization_id(self) -> UUID:
        assert self.group.live is not None
        return self.group.live.facts.organization_id

    def go(self) -> None:
        """Absorb messages until the turn needs something or has absorbed all."""
        while isinstance(self.step, Done) and self.inbox:
            self.step = self.turn.run(self.inbox.pop(0))

    def resume(self) -> None:
        self.step = self.turn.resume()
        self.go()

    def wanted(self) -> list[tuple[UUID, str]]:
        """Stored values that the turn needs to go on."""
        if not isinstance(self.step, NeedValues):
            return []
        return [(self.group.execution_id, reference) for reference in self.step.references]

    async def open_secrets(self) -> None:
        if isinstance(self.step, NeedSecrets):
            self.known = await self.secrets.of(self.organization_id, self.step.names)

    def supply(self, bodies: Mapping[str, bytes]) -> None:
        """Raises `ValueMissing`, or `Unopenable`."""
        if isinstance(self.step, NeedSecrets):
            self.turn.supply_secrets(*self.known)
            return
        found = {
            name: self.secrets.opened(self.organization_id, _body(bodies, name))
            for _, name in self.wanted()
        }
        self.turn.supply_values(
            {name: raw for name, (raw, _) in found.items()},
            {name: secrets for name, (_, secrets) in found.items()},
        )

    def supply_and_resume(self, bodies: Mapping[str, bytes]) -> None:
        self.supply(bodies)
        self.resume()


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
    def __init__(
        self,
        *,
        store: Store,
        evaluator: Evaluator,
        clock: Clock,
        limits: Limits,
        secrets: OpenSecrets | None = None,
    ) -> None:
        self._secrets = secrets or OpenSecrets(NoSecrets(), Vault())
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
        while needy := [each for each in running if isinstance(each.step, _LOADED)]:
            running = [each for each in running if not isinstance(each.step, _LOADED)]
            for each in needy:
                await each.open_secrets()
            bodies = await self._load([want for each in needy for want in each.wanted()])
            running += [
                each
                for each in needy
                if self._step(partial(each.supply_and_resume, bodies), each.group, decision)
            ]
        await self._close(running, decision)
        return decision

    async def _close(self, running: Sequence[Running], decision: Decision) -> None:
        """End the turns that need nothing more."""
        done = []
        for each in running:
            if isinstance(each.step, NeedEvaluation):
                decision.undecided.append(Undecided(each))
            else:
                each.group.result = each.turn.finish()
                done.append(each.group)
        bodies = await self._load([want for group in done for want in _unread(group)])
        for group in done:
            if self._step(partial(_fill, group, bodies), group, decision):
                decision.decided.append(group)

    async def finish(self, undecided: Undecided) -> None:
        """See one turn through, whatever it needs."""
        running = undecided.running
        while not isinstance(running.step, Done):
            if isinstance(running.step, NeedEvaluation):
                running.turn.supply_evaluation(await self._evaluator.evaluate(running.step))
            else:
                await running.open_secrets()
                running.supply(await self._load(running.wanted()))
            running.resume()
        running.group.result = running.turn.finish()
        _fill(running.group, await self._load(_unread(running.group)))

    async def _begin(self, group: Group) -> Running:
        live = group.live
        assert live is not None
        turn = Turn(
            live.definition.plan, live.state, now_ms=self._clock.now_ms(), limits=self._limits
        )
        inbox: list[core.Message] = []
        arrivals = [
            core.EventArrived(each.key, each.number, orjson.loads(each.raw))
            for each in group.arrivals
        ]
        for delivery in group.deliveries:
            message = delivery.message
            if type(message) is StartExecution:
                inbox.append(core.Start(_input(group)))
            elif live.version == 0 and not inbox:
                inbox.extend(await self._first_message(group, message))
            else:
                translated = to_core(message, group)
                if translated is not None:
                    organization_id = live.facts.organization_id
                    inbox.append(self._secrets.message(organization_id, translated))
                if isinstance(message, EventsArrived | ResumeExecution):
                    inbox.extend(arrivals)
                    arrivals = []
        return Running(group, turn, inbox, self._secrets)

    async def _first_message(self, group: Group, message: object) -> list[core.Message]:
        """An execution that exists but has not begun can be begun, when it may, or cancelled."""
        live = group.live
        assert live is not None
        if live.may_start and isinstance(message, ContinueExecution | SuspendExecution):
            raw = await self._store.load_input(group.execution_id)
            start = [self._start_of(live, raw)]
            if isinstance(message, SuspendExecution):
                start.append(core.Suspend(message.reason))
            return start
        if isinstance(message, CancelExecution):
            return [core.Cancel(message.reason)]
        return []

    def _start_of(self, live: Live, raw: bytes) -> core.Message:
        """Only what a parent gives can be sealed: to clients, the form means nothing."""
        if live.facts.parent_id is None:
            return core.Start(Value.of_bytes(raw))
        try:
            opened = self._secrets.opened(live.facts.organization_id, raw)
        except Unopenable as error:
            detail = f"the input is sealed and cannot be opened: {error}"
            return core.Fault(None, error_of(ErrorKind.CONFIGURATION, detail))
        return core.Start(Value.of_bytes(*opened))

    @staticmethod
    def _step(action: Callable[[], None], group: Group, decision: Decision) -> bool:
        try:
            action()
        except Exception:
            # A bug of ours, a lost value, a state nobody foresaw: this execution must not take its neighbours down.
            log.exception("turn_failed", execution_id=str(group.execution_id))
            decision.poisoned.append(group)
            return False
        return True

    async def _load(self, wanted: Sequence[tuple[UUID, str]]) -> Mapping[str, bytes]:
        return await self._store.load_values(wanted) if wanted else {}


def _stored_whole(group: Group) -> list[Value]:
    """Outputs and child inputs: bodies that the turn itself may never have looked at."""
    assert group.result is not None
    effects = group.result.effects
    values = [effects.output] if effects.output is not None else []
    return values + [wait.child.input for wait in effects.opened if wait.child is not None]


def _unread(group: Group) -> list[tuple[UUID, str]]:
    return [
        (group.execution_id, value.reference.id)
        for value in _stored_whole(group)
        if not value.is_loaded and value.reference is not None
    ]


def _fill(group: Group, bodies: Mapping[str, bytes]) -> None:
    """Read what is stored whole. Raises `ValueMissing`."""
    for value in _stored_whole(group):
        if not value.is_loaded:
            assert value.reference is not None
            value.load(_body(bodies, value.reference.id))


def _body(bodies: Mapping[str, bytes], name: str) -> bytes:
    try:
        return bodies[name]
    except KeyError:
        raise ValueMissing(f"the stored value {name} is gone") from None


def _input(group: Group) -> Value:
    start = group.start
    assert start is not None
    if start.input_ref is None:
        return Value.of_bytes(group.input_raw)
    reference = Reference(str(start.input_ref.id), start.input_ref.size)
    return Value(known=False, raw=group.input_raw, reference=reference)
