"""PostgreSQL, modelled: each method is one transaction, and may be cut before or after it was committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sim_world import World, point

from common.ids import uuid7
from orchestrator.events import Told
from orchestrator.notes import LossCount
from orchestrator.ports import (
    Acceptance,
    Arrival,
    Closed,
    DataRefused,
    DeadLetter,
    Facts,
    IdempotencyKey,
    Loaded,
    Lost,
    NewEvent,
    NewListener,
    NewWait,
    StoreAway,
    Write,
)
from orchestrator.publications import Note, Owed, read_note
from orchestrator.sweeps import ChildWait, DueWait, OverdueTask, TaskBody, Turn

EXPECTED_MS = 90_000
REFUSED = b"not-for-postgresql"
"""A value that stands for what jsonb does not take."""


@dataclass
class Execution:
    facts: Facts
    status: str
    input: bytes
    output: bytes | None = None
    error: bytes | None = None
    updated_ms: int = 0
    created_ms: int = 0

    @property
    def is_finished(self) -> bool:
        return self.status in ("completed", "faulted", "cancelled")


@dataclass
class Wait:
    row: NewWait
    opened_ms: int
    expected_ms: int
    published: bool
    lost: int = 0
    started_by: str | None = None


@dataclass
class SimEvent:
    row: NewEvent
    received_ms: int
    matched: bool = False


@dataclass
class SimListener:
    row: NewListener
    since_ms: int
    opened_ms: int
    looked: bool = False


@dataclass
class Offer:
    key: str
    offered_ms: int
    state: str = "open"


@dataclass
class Database:
    """Implements every store that the orchestrator's protocol code asks for."""

    world: World
    executions: dict[UUID, Execution] = field(default_factory=dict)
    states: dict[UUID, tuple[int, bytes]] = field(default_factory=dict)
    history: dict[UUID, list[tuple[int, int, bytes, int]]] = field(default_factory=dict)
    waits: dict[tuple[UUID, str], Wait] = field(default_factory=dict)
    payloads: dict[str, bytes] = field(default_factory=dict)
    idempotency: dict[tuple[UUID, str, str], Acceptance] = field(default_factory=dict)
    publications: dict[UUID, tuple[int, bytes]] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    generation: str = ""
    events: list[SimEvent] = field(default_factory=list)
    listeners: dict[tuple[UUID, str], SimListener] = field(default_factory=dict)
    offers: dict[tuple[UUID, UUID, int], Offer] = field(default_factory=dict)
    consumed: Counter[tuple[UUID, UUID, int]] = field(default_factory=Counter)
    """How often a listener consumed an event, ever."""

    async def _cut(self, *, before: bool) -> None:
        await point()
        if self.world.faulty and self.world.random.random() < 0.01:
            raise StoreAway("connection lost before" if before else "connection lost after")

    # --- advancing ------------------------------------------------------------------------------------

    async def load(self, ids: Sequence[UUID]) -> dict[UUID, Loaded]:
        await self._cut(before=True)
        return {
            each: Loaded(self.executions[each].facts, *self.states[each], may_start=True)
            for each in ids
            if each in self.states
        }

    async def load_values(self, references: Sequence[tuple[UUID, str]]) -> dict[str, bytes]:
        await self._cut(before=True)
        return {id: self.payloads[id] for _, id in references if id in self.payloads}

    async def levels_above(self, execution_id: UUID, limit: int) -> int:
        await self._cut(before=True)
        levels, facts = 0, self.executions[execution_id].facts
        while levels < limit and facts.parent_id is not None and facts.parent_key is not None:
            levels, facts = levels + 1, self.executions[facts.parent_id].facts
        return levels

    async def load_input(self, execution_id: UUID) -> bytes:
        await self._cut(before=True)
        return self.executions[execution_id].input

    async def commit(self, write: Write) -> None:
        await self._cut(before=True)
        if any(REFUSED in row.events for row in write.history):
            raise DataRefused("a value that PostgreSQL does not take")
        self._refuse_losers(write)
        self._apply(write)
        await self._cut(before=False)

    def _refuse_losers(self, write: Write) -> None:
        if self.world.mutation.compare_and_set:
            losers = [
                each.execution_id
                for each in write.states
                if each.expected >= 0
                and self.states.get(each.execution_id, (None,))[0] != each.expected
            ]
            if losers:
                raise Lost(losers, keys_taken=False)
        seen: set[tuple[UUID, str, str]] = set()
        taken = []
        for key in write.idempotency:
            name = (key.organization_id, key.route, key.key)
            if name in self.idempotency or name in seen:
                taken.append(key.execution_id)
            seen.add(name)
        if taken:
            raise Lost(taken, keys_taken=True)

    def _apply(self, write: Write) -> None:
        now_ms = self.world.now_ms
        for key in write.idempotency:
            self.idempotency[key.organization_id, key.route, key.key] = Acceptance(
                key.execution_id, key.fingerprint
            )
        for new in write.executions:
            assert new.facts.execution_id not in self.executions, "an execution is created twice"
            self.executions[new.facts.execution_id] = Execution(
                new.facts, new.status, new.input, new.output, new.error, now_ms, now_ms
            )
        for state in write.states:
            if state.final:
                self.states.pop(state.execution_id, None)
            else:
                self.states[state.execution_id] = (state.version, state.snapshot)
        for row in write.history:
            self.history.setdefault(row.execution_id, []).append(
                (row.seq_from, row.seq_to, row.events, now_ms)
            )
        for each in write.closed:
            self.waits.pop(each, None)
        for wait in write.opened:
            key = (wait.execution_id, wait.key)
            assert not self.world.mutation.compare_and_set or key not in self.waits, (
                "a wait is opened twice"
            )
            self.waits[key] = Wait(wait, now_ms, now_ms + EXPECTED_MS, bool(wait.published))
        for payload in write.payloads:
            self.payloads[str(payload.id)] = payload.raw
        for phase in write.phases:
            execution = self.executions[phase.execution_id]
            execution.status, execution.updated_ms = phase.status, now_ms
            execution.output, execution.error = phase.output, phase.error
        for paid in write.paid:
            self.publications.pop(paid, None)
        self._apply_events(write, now_ms)
        if write.publication is not None and self.world.mutation.publications:
            self.publications[write.publication] = (now_ms, write.publication_body)

    def _apply_events(self, write: Write, now_ms: int) -> None:
        for event in write.emitted:
            self._keep(event, now_ms)
        for execution, key, number, is_consumed in write.settled:
            for id, offer in self.offers.items():
                if (id[0], id[2], offer.key) == (execution, number, key):
                    offer.state = "consumed" if is_consumed else "refused"
                    self.consumed[id] += is_consumed
        for each in write.unlistened:
            self.listeners.pop(each, None)
            self._drop_offers(lambda name, offer, each=each: (name[0], offer.key) == each)
        for gone in write.forgotten:
            for name in [name for name in self.listeners if name[0] == gone]:
                del self.listeners[name]
        for listener in write.listeners:
            since = self.executions[listener.execution_id].created_ms
            self.listeners[listener.execution_id, listener.key] = SimListener(
                listener, since, now_ms
            )

    def _drop_offers(self, doomed: Callable[[tuple[UUID, UUID, int], Offer], bool]) -> None:
        for id in [id for id, o in self.offers.items() if o.state != "consumed" and doomed(id, o)]:
            del self.offers[id]

    def _keep(self, event: NewEvent, now_ms: int) -> bool:
        if any(event.fingerprint == each.row.fingerprint for each in self.events):
            return False
        self.events.append(SimEvent(event, now_ms))
        return True

    def _offer(self, number: int, listener: SimListener) -> list[Told]:
        event, row = self.events[number], listener.row
        if row.type not in ("", event.row.type) or event.received_ms < listener.since_ms:
            return []
        name = (row.execution_id, row.listener, number)
        offer = self.offers.get(name)
        if offer is not None and (offer.state == "consumed" or offer.key == row.key):
            return []
        self.offers[name] = Offer(row.key, self.world.now_ms)
        return [(row.organization_id, row.execution_id)]

    # --- events ---------------------------------------------------------------------------------------

    async def keep(self, events: Sequence[NewEvent]) -> int:
        await self._cut(before=True)
        kept = sum(self._keep(event, self.world.now_ms) for event in events)
        await self._cut(before=False)
        return kept

    async def match(self, events: Sequence[tuple[UUID, bytes]]) -> list[Told]:
        await self._cut(before=True)
        told: list[Told] = []
        for number, event in enumerate(self.events):
            if not event.matched and (event.row.organization_id, event.row.fingerprint) in events:
                for listener in self.listeners.values():
                    told += self._offer(number, listener)
                event.matched = True
        await self._cut(before=False)
        return told

    async def look(self, listeners: Sequence[tuple[UUID, str]]) -> list[Told]:
        await self._cut(before=True)
        told: list[Told] = []
        for name in listeners:
            listener = self.listeners.get(name)
            if listener is not None:
                for number in range(len(self.events)):
                    told += self._offer(number, listener)
                listener.looked = True
        await self._cut(before=False)
        return told

    async def arrivals(self, executions: Sequence[UUID], limit: int) -> list[Arrival]:
        await self._cut(before=True)
        found = [
            Arrival(id[0], offer.key, id[2], self.events[id[2]].row.raw)
            for id, offer in self.offers.items()
            if id[0] in executions and offer.state == "open"
        ]
        return sorted(found, key=lambda each: each.number)[:limit]

    async def offered(self, executions: Sequence[UUID]) -> list[Told]:
        await self._cut(before=True)
        return [
            (self.executions[id[0]].facts.organization_id, id[0])
            for id, offer in self.offers.items()
            if id[0] in executions and offer.state == "open"
        ]

    async def unmatched(self, age_s: float, limit: int) -> list[tuple[UUID, bytes]]:
        await self._cut(before=True)
        old = self.world.now_ms - age_s * 1000
        return [
            (each.row.organization_id, each.row.fingerprint)
            for each in self.events
            if not each.matched and each.received_ms < old
        ][:limit]

    async def unlooked(self, age_s: float, limit: int) -> list[tuple[UUID, str]]:
        await self._cut(before=True)
        old = self.world.now_ms - age_s * 1000
        return [
            name
            for name, each in self.listeners.items()
            if not each.looked and each.opened_ms < old
        ][:limit]

    async def unanswered(self, age_s: float, limit: int) -> list[Told]:
        await self._cut(before=True)
        now_ms = self.world.now_ms
        told: list[Told] = []
        for id, offer in self.offers.items():
            if offer.state == "open" and offer.offered_ms < now_ms - age_s * 1000:
                if (id[0], offer.key) in self.listeners:
                    offer.offered_ms = now_ms
                    told.append((self.executions[id[0]].facts.organization_id, id[0]))
        return told[:limit]

    async def body(self, organization_id: UUID, owner_id: UUID, id: UUID) -> bytes | None:
        raise AssertionError("no large events here")

    async def acceptances(
        self, keys: Sequence[IdempotencyKey]
    ) -> dict[tuple[UUID, str, str], Acceptance]:
        await self._cut(before=True)
        names = [(key.organization_id, key.route, key.key) for key in keys]
        return {name: self.idempotency[name] for name in names if name in self.idempotency}

    async def closed(self, ids: Sequence[UUID]) -> dict[UUID, Closed]:
        await self._cut(before=True)
        found = {each: self.executions[each] for each in ids if each in self.executions}
        return {
            each: Closed(one.facts, one.status, one.output, one.error)
            for each, one in found.items()
            if one.is_finished
        }

    async def children(self, waits: Sequence[tuple[UUID, str]]) -> dict[tuple[UUID, str], UUID]:
        await self._cut(before=True)
        found = {each: self.waits[each].row.child_id for each in waits if each in self.waits}
        return {each: child for each, child in found.items() if child is not None}

    async def condemn(
        self,
        execution_id: UUID,
        organization_id: UUID | None,
        event: bytes,
        error: bytes,
        letters: Sequence[DeadLetter],
    ) -> int | None:
        del organization_id
        await self._cut(before=True)
        self.dead_letters += letters
        if execution_id not in self.states:
            return None
        version, _ = self.states.pop(execution_id)
        for key in [key for key in self.waits if key[0] == execution_id]:
            del self.waits[key]
        for name in [name for name in self.listeners if name[0] == execution_id]:
            del self.listeners[name]
        self.history.setdefault(execution_id, []).append(
            (version + 1, version + 1, event, self.world.now_ms)
        )
        execution = self.executions[execution_id]
        execution.status, execution.error = "faulted", error
        execution.updated_ms = self.world.now_ms
        note = Owed(events=[(execution_id, version + 1, version + 1)]).note()
        self.publications[uuid7()] = (self.world.now_ms, note)
        await self._cut(before=False)
        return version + 1

    # --- remarks about tasks --------------------------------------------------------------------------

    async def heartbeats(self, tasks: Sequence[tuple[UUID, str]]) -> None:
        await self._cut(before=True)
        for each in tasks:
            if each in self.waits:
                self.waits[each].expected_ms = self.world.now_ms + EXPECTED_MS

    async def worker_lost(self, execution_id: UUID, key: str) -> LossCount | None:
        await self._cut(before=True)
        wait = self.waits.get((execution_id, key))
        if wait is None:
            return None
        wait.lost += 1
        # Workers die here far more often than the bound for poisonous tasks assumes.
        return LossCount(1, wait.started_by)

    async def grant(self, execution_id: UUID, key: str, nonce: str) -> bool:
        await self._cut(before=True)
        wait = self.waits.get((execution_id, key))
        if wait is None or wait.started_by not in (None, nonce):
            return False
        wait.started_by, wait.expected_ms = nonce, self.world.now_ms + EXPECTED_MS
        return True

    # --- sweeps ---------------------------------------------------------------------------------------

    async def owed(self, age_s: float, limit: int) -> list[Note]:
        await self._cut(before=True)
        old = self.world.now_ms - age_s * 1000
        return [read_note(id, body) for id, (at, body) in self.publications.items() if at < old][
            :limit
        ]

    async def settle(self, ids: Sequence[UUID]) -> None:
        await self._cut(before=True)
        for each in ids:
            self.publications.pop(each, None)

    async def history_of(self, ranges: Sequence[tuple[UUID, int, int]]) -> list[Turn]:
        await self._cut(before=True)
        return [
            Turn(self.executions[execution].facts, seq_from, events)
            for execution, first, last in ranges
            for seq_from, _, events, _ in self.history.get(execution, [])
            if first <= seq_from <= last
        ]

    async def published_bodies(self, tasks: Sequence[tuple[UUID, str]]) -> list[TaskBody]:
        await self._cut(before=True)
        return [_body(self.waits[each]) for each in tasks if _is_out(self.waits.get(each))]

    async def take_ready(self, queue: str, room: int) -> list[TaskBody]:
        await self._cut(before=True)
        ready = [w for w in self.waits.values() if w.row.queue == queue and not w.published][:room]
        for wait in ready:
            wait.published, wait.expected_ms = True, self.world.now_ms + EXPECTED_MS
        return [_body(wait) for wait in ready]

    async def due(self, partitions: Sequence[int], late_s: float, limit: int) -> list[DueWait]:
        await self._cut(before=True)
        held = {key[0] for key, wait in self.waits.items() if wait.row.kind == "suspended"}
        return [
            DueWait(wait.row.execution_id, wait.row.organization_id, wait.row.key, wait.row.kind)
            for wait in self.waits.values()
            if wait.row.due_ms is not None
            and wait.row.due_ms <= self.world.now_ms - late_s * 1000
            and wait.row.execution_id not in held
        ][:limit]

    async def overdue(self, limit: int) -> list[OverdueTask]:
        await self._cut(before=True)
        late = [
            wait
            for wait in self.waits.values()
            if wait.row.kind == "task" and wait.published and wait.expected_ms < self.world.now_ms
        ][:limit]
        for wait in late:
            wait.expected_ms = self.world.now_ms + EXPECTED_MS
        return [
            OverdueTask(_body(wait), wait.row.organization_id, wait.started_by, wait.opened_ms)
            for wait in late
        ]

    async def closed_children(self, age_s: float, limit: int) -> list[ChildWait]:
        await self._cut(before=True)
        old = self.world.now_ms - age_s * 1000
        return [
            _child(wait)
            for wait in self.waits.values()
            if wait.row.child_id in self.executions
            and self.executions[wait.row.child_id].is_finished
            and self.executions[wait.row.child_id].updated_ms < old
        ][:limit]

    async def missing_children(self, age_s: float, limit: int) -> list[ChildWait]:
        await self._cut(before=True)
        return [
            _child(wait)
            for wait in self.waits.values()
            if wait.row.child_id is not None and wait.row.child_id not in self.executions
        ][:limit]

    async def abandoned_children(self, age_s: float, limit: int) -> list[tuple[UUID, UUID]]:
        await self._cut(before=True)
        awaited = {wait.row.child_id for wait in self.waits.values()}
        old = self.world.now_ms - age_s * 1000
        return [
            (id, one.facts.organization_id)
            for id, one in self.executions.items()
            if one.facts.parent_key is not None
            and not one.is_finished
            and one.updated_ms < old
            and id not in awaited
        ][:limit]

    # --- recovery -------------------------------------------------------------------------------------

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[bool]:
        # Two replicas at it do no harm, so the model lets them.
        yield True

    async def settled_generation(self) -> str:
        await self._cut(before=True)
        return self.generation

    async def settle_generation(self, generation: str) -> None:
        await self._cut(before=True)
        self.generation = generation

    async def published_tasks(self, after: tuple[UUID, str], limit: int) -> list[TaskBody]:
        await self._cut(before=True)
        return [_body(w) for k, w in sorted(self.waits.items()) if k > after and _is_out(w)][:limit]

    async def recent_history(self, age_s: float, after: tuple[UUID, int], limit: int) -> list[Turn]:
        await self._cut(before=True)
        rows = sorted((id, row[0], row) for id, rows in self.history.items() for row in rows)
        return [
            Turn(self.executions[id].facts, seq, row[2])
            for id, seq, row in rows
            if (id, seq) > after and row[3] > self.world.now_ms - age_s * 1000
        ][:limit]


def _is_out(wait: Wait | None) -> Any:
    return (
        wait is not None and wait.published and wait.started_by is None and wait.row.kind == "task"
    )


def _body(wait: Wait) -> TaskBody:
    assert wait.row.queue is not None
    assert wait.row.body is not None
    return TaskBody(wait.row.execution_id, wait.row.key, wait.row.queue, wait.row.body)


def _child(wait: Wait) -> ChildWait:
    return ChildWait(
        wait.row.execution_id, wait.row.organization_id, wait.row.key, wait.row.child_id
    )
