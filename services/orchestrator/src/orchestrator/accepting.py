"""Accepting executions: which definition, may it begin now, and what the caller is told if not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from common.contracts.executions import StartExecution
from common.ids import MAX_CLOCK_SKEW_MS, uuid7_ms
from orchestrator.answers import refuse, replayed
from orchestrator.definitions import Definition, Definitions
from orchestrator.deliveries import Group, Live
from orchestrator.ports import Clock, Facts, IdempotencyKey, Store
from workflow.core.state import new_state


class AdmissionLimits(Protocol):
    async def limit_of(self, organization_id: UUID) -> int:
        """How many executions of the organisation may be under way at once; 0 is no limit."""
        ...


class Accepting:
    def __init__(
        self, *, store: Store, clock: Clock, definitions: Definitions, limits: AdmissionLimits
    ) -> None:
        self._store = store
        self._clock = clock
        self._definitions = definitions
        self._limits = limits

    async def prepare(self, groups: Sequence[Group]) -> None:
        """Give each start an execution to begin with, or a refusal."""
        for group in groups:
            start = group.start
            assert start is not None
            group.live = await self._begin(group, start)

    async def answer_taken(self, groups: Sequence[Group]) -> None:
        """The idempotency keys of these starts were used before: answer with what they were used for."""
        keys = {group.execution_id: key_of(group) for group in groups}
        first = await self._store.acceptances(list(keys.values()))
        for group in groups:
            start, key = group.start, keys[group.execution_id]
            assert start is not None
            acceptance = first.get((key.organization_id, key.route, key.key))
            # What was prepared to be said had the commit succeeded must not be said now.
            group.replies.clear()
            group.live = None
            if acceptance is not None and start.reply_to:
                group.replies.append(
                    (start.reply_to, replayed(start, start.fingerprint, acceptance))
                )

    async def _begin(self, group: Group, start: StartExecution) -> Live | None:
        # A request nobody waits for any more is shed, unless it was accepted before: then its key says so.
        if start.deadline_ms is not None and self._clock.now_ms() > start.deadline_ms:
            await self.answer_taken([group])
            return None
        if abs(uuid7_ms(start.execution_id) - self._clock.now_ms()) > MAX_CLOCK_SKEW_MS:
            await self.answer_taken([group])
            if not group.replies:
                _refuse(
                    group,
                    start,
                    400,
                    "clock_skew",
                    "The id's time is more than 5 minutes off; check the clock.",
                )
            return None
        definition = await self._definitions.to_start(
            start.organization_id, start.workflow_id, start.workflow_version
        )
        if definition is None:
            wanted = start.workflow_version or "any version"
            _refuse(
                group,
                start,
                404,
                "workflow_not_found",
                f"There is no workflow {start.workflow_id} ({wanted}).",
            )
            return None
        limit = await self._limits.limit_of(start.organization_id)
        return new_live(start, definition, may_start=limit == 0)


def _refuse(group: Group, start: StartExecution, status: int, code: str, detail: str) -> None:
    if start.reply_to:
        group.replies.append((start.reply_to, refuse(start, status, code, detail)))


def new_live(start: StartExecution, definition: Definition, *, may_start: bool) -> Live:
    facts = Facts(
        start.execution_id,
        start.organization_id,
        definition.workflow_id,
        definition.version,
        definition.semver,
        start.traceparent,
    )
    state = new_state(
        str(start.execution_id),
        namespace=definition.namespace,
        name=definition.name,
        version=definition.semver,
    )
    return Live(facts, definition, state, -1, may_start)


def key_of(group: Group) -> IdempotencyKey:
    start = group.start
    assert start is not None
    return IdempotencyKey(
        start.organization_id,
        start.route,
        start.idempotency_key,
        start.fingerprint,
        start.execution_id,
    )
