"""Unfinished executions in memory, so that a turn need not read what this process wrote a moment ago.

Safe without any lease: a write names the version it was decided on, and a stale one is refused. Whoever sees a write
refused, or its outcome unknown, forgets the execution and reads it again. So does whoever finds that a message changes
nothing: nothing is written then, and another replica may have opened what the message is about.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from uuid import UUID

from orchestrator.definitions import Definitions
from orchestrator.deliveries import Group, Live
from orchestrator.ports import Loaded, Store
from workflow.core.snapshot import decode
from workflow.core.state import State, new_state

LIVE_MAX = 4_000
"""Executions kept, at some ten kilobytes each. More would make the collector's rare full rounds noticeable."""

WEIGHT_MAX = 8 * 2**20
"""Bytes of their larger values and of their definitions, as JSON: in memory they take ten times as much and more."""

WEIGHT_EACH_MAX = 2**20
"""One that is heavier is let go of, and comes back without the values it does not need."""


class LiveExecutions:
    def __init__(self, store: Store, definitions: Definitions, *, capacity: int = LIVE_MAX) -> None:
        self._store = store
        self._definitions = definitions
        self._capacity = capacity
        self._live: OrderedDict[UUID, Live] = OrderedDict()
        self._weights: dict[UUID, int] = {}
        self._weight = 0
        self._users: Counter[int] = Counter()
        """How many executions keep a definition in memory, by its identity."""

        self._lent: set[UUID] = set()
        """Executions in a batch that is under way: they are not to be taken apart."""

    @property
    def kept(self) -> int:
        """How many executions are in memory."""
        return len(self._live)

    @property
    def weight(self) -> int:
        """Bytes of their larger values and of their definitions."""
        return self._weight

    async def attach(self, groups: Sequence[Group]) -> None:
        """Give every group its execution; those that are finished or unknown stay without one."""
        missing = []
        for group in groups:
            group.live = self._live.get(group.execution_id)
            group.is_remembered = group.live is not None
            if group.live is None:
                missing.append(group)
            else:
                self._lent.add(group.execution_id)
        if not missing:
            return
        loaded = await self._store.load([group.execution_id for group in missing])
        for group in missing:
            found = loaded.get(group.execution_id)
            if found is not None:
                group.live = await self._revive(found)

    async def _revive(self, loaded: Loaded) -> Live | None:
        facts = loaded.facts
        definition = await self._definitions.of_execution(
            facts.organization_id, facts.workflow_id, facts.workflow_version
        )
        assert definition is not None, "a definition outlives its executions"
        state: State
        if loaded.snapshot:
            state = decode(loaded.snapshot, definition.plan)
        else:
            state = new_state(
                str(facts.execution_id),
                namespace=definition.namespace,
                name=definition.name,
                version=definition.semver,
            )
        return Live(facts, definition, state, loaded.version, loaded.may_start)

    def keep(self, groups: Iterable[Group]) -> None:
        """Remember the executions of a committed batch at their new versions; let go of finished ones."""
        for group in groups:
            self._lent.discard(group.execution_id)
            live, result = group.live, group.result
            if live is None or result is None:
                continue
            if result.changed:
                live.version = result.sequence_to
            is_over = live.state.phase.is_final or live.state.weight > WEIGHT_EACH_MAX
            if not is_over and self._is_held(group.execution_id, live):
                self._live.move_to_end(group.execution_id)
                continue
            self.forget([group.execution_id])
            if is_over:
                live.state.discard()
            elif live.version > 0:
                self._hold(group.execution_id, live)
        self._shrink()

    def _shrink(self) -> None:
        if not self._is_full():
            return
        idle = (each for each in list(self._live) if each not in self._lent)
        while self._is_full():
            oldest = next(idle, None)
            if oldest is None:
                return
            self._let_go(oldest).state.discard()

    def _is_full(self) -> bool:
        return len(self._live) > self._capacity or self._weight > WEIGHT_MAX

    def forget(self, ids: Iterable[UUID]) -> None:
        for execution_id in ids:
            self._lent.discard(execution_id)
            if execution_id in self._live:
                self._let_go(execution_id)

    def _is_held(self, execution_id: UUID, live: Live) -> bool:
        """Whether it is in memory already, and as heavy as it is counted."""
        held = self._live.get(execution_id)
        return held is live and self._weights[execution_id] == live.state.weight

    def _hold(self, execution_id: UUID, live: Live) -> None:
        self._live[execution_id] = live
        self._weights[execution_id] = live.state.weight
        self._weight += live.state.weight
        self._users[id(live.definition)] += 1
        if self._users[id(live.definition)] == 1:
            self._weight += live.definition.size

    def _let_go(self, execution_id: UUID) -> Live:
        live = self._live.pop(execution_id)
        self._weight -= self._weights.pop(execution_id)
        self._users[id(live.definition)] -= 1
        if self._users[id(live.definition)] == 0:
            del self._users[id(live.definition)]
            self._weight -= live.definition.size
        return live
