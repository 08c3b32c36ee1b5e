"""Storing what was decided: the rows of a batch, in one transaction, and again without those that lost a race."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from common import metrics
from common.contracts.executions import ContinueExecution
from orchestrator import assemble
from orchestrator.accepting import key_of
from orchestrator.answers import answer_decided
from orchestrator.assemble import Installation, NewChild
from orchestrator.children import Children
from orchestrator.deliveries import Delivery, Group, Live, ObligationBroken, TimerDue
from orchestrator.notices import Notices
from orchestrator.ports import Clock, DataRefused, Facts, Lost, Store, Windows, Write
from orchestrator.publications import Owed, new_publication_id
from orchestrator.tracing import is_recorded, turn_span
from workflow.core.effects import Effects, OpenWait, WaitKind

log = structlog.get_logger()


@dataclass(slots=True)
class Assembled:
    """The rows of a batch, what it owes the streams, and what this process must remember to do."""

    groups: list[Group]
    write: Write = field(default_factory=Write)
    owed: Owed = field(default_factory=Owed)
    follow_ups: list[Delivery] = field(default_factory=list)
    alarms: list[tuple[int, Delivery]] = field(default_factory=list)
    freed: set[UUID] = field(default_factory=set)
    """Organisations in which an execution ended: one that waits for admission may begin."""


@dataclass(slots=True)
class Committed:
    """How the groups of a batch fared."""

    parts: list[Assembled] = field(default_factory=list)
    beaten: list[Group] = field(default_factory=list)
    """Somebody else advanced these: decide again."""

    taken: list[Group] = field(default_factory=list)
    """Starts whose idempotency key was used before."""

    refused: list[Group] = field(default_factory=list)
    """PostgreSQL does not take what these want to store."""


class Committing:
    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        windows: Windows,
        children: Children,
        installation: Installation,
    ) -> None:
        self._store = store
        self._clock = clock
        self._windows = windows
        self._children = children
        self._installation = installation
        self._notices = Notices(store, installation)
        self._paid: list[UUID] = []

    def pay(self, publication: UUID) -> None:
        """The entries of this publication are out: a later batch deletes its row."""
        self._paid.append(publication)

    @property
    def unpaid_deletions(self) -> bool:
        return bool(self._paid)

    async def delete_paid(self) -> None:
        """Delete paid publications now, because no batch came along to do it."""
        write = Write(paid=list(self._paid))
        if not write.paid:
            return
        await self._store.commit(write)
        self._forget_paid(write)

    async def commit(self, groups: Sequence[Group], *, answers: Owed) -> Committed:
        """Store the turns of `groups`; `answers` are replies that go with the first transaction. Raises `StoreAway`."""
        outcome = Committed()
        await self._commit(list(groups), answers, outcome)
        return outcome

    async def _commit(self, groups: list[Group], answers: Owed, outcome: Committed) -> None:
        while True:
            assembled = await self._assemble(groups, answers)
            try:
                # Late and repeated messages change nothing, and cost no transaction.
                if not assembled.write.is_empty:
                    await self._store.commit(assembled.write)
            except Lost as lost:
                losers = [group for group in groups if group.execution_id in lost.executions]
                (outcome.taken if lost.keys_taken else outcome.beaten).extend(losers)
                groups = [group for group in groups if group.execution_id not in lost.executions]
                continue
            except DataRefused as refused:
                await self._commit_apart(groups, answers, outcome, refused)
                return
            self._forget_paid(assembled.write)
            outcome.parts.append(assembled)
            return

    async def _commit_apart(
        self, groups: list[Group], answers: Owed, outcome: Committed, refused: DataRefused
    ) -> None:
        """Bisect, so that one execution that cannot be stored never blocks its neighbours."""
        if len(groups) <= 1:
            for group in groups:
                log.error("turn_refused", execution_id=str(group.execution_id), reason=str(refused))
            outcome.refused.extend(groups)
            if answers.is_noted or answers.done:
                await self._commit([], answers, outcome)
            return
        metrics.BATCHES_BISECTED.inc()
        middle = len(groups) // 2
        await self._commit(groups[:middle], answers, outcome)
        await self._commit(groups[middle:], Owed(), outcome)

    def _forget_paid(self, write: Write) -> None:
        deleted = set(write.paid)
        self._paid = [each for each in self._paid if each not in deleted]

    async def _assemble(self, groups: Sequence[Group], answers: Owed) -> Assembled:
        assembled = Assembled(list(groups))
        assembled.owed.extend(answers)
        for group in groups:
            await self._add(group, assembled)
        if assembled.owed.is_noted:
            assembled.write.publication = new_publication_id()
            assembled.write.publication_body = assembled.owed.note()
        assembled.write.paid = list(self._paid)
        return assembled

    async def _add(self, group: Group, assembled: Assembled) -> None:
        live = group.live
        assert live is not None
        assembled.owed.done.extend(group.entries)
        group.replies.clear()
        if group.start is not None and not live.may_start:
            self._add_pending(group, live, assembled)
        elif group.result is not None:
            if group.result.changed:
                await self._add_turn(group, live, assembled)
            # A refused event is noted even if nothing else changed, or it would be offered for ever.
            assemble.add_event_rows(assembled.write, live, group.result.effects)
            answer_decided(group)
        for stream, reply in group.replies:
            assembled.owed.add_reply(stream, reply)

    def _add_pending(self, group: Group, live: Live, assembled: Assembled) -> None:
        start = group.start
        assert start is not None
        assemble.add_pending(
            assembled.write,
            live.facts,
            group.input_raw,
            start.labels,
            self._installation,
            admitted=False,
        )
        assembled.write.idempotency.append(key_of(group))
        answer_decided(group)
        assembled.freed.add(live.facts.organization_id)

    async def _add_turn(self, group: Group, live: Live, assembled: Assembled) -> None:
        result = group.result
        assert result is not None
        write, effects = assembled.write, result.effects
        assemble.write_turn(write, live, result, self._installation, expected=live.version)
        if group.start is not None and live.version < 0:
            write.executions.append(
                assemble.new_execution(
                    live.facts, group.input_raw, group.start.labels, effects, self._installation
                )
            )
            write.idempotency.append(key_of(group))
        if live.version == 0:
            write.closed.append((group.execution_id, assemble.START_KEY))
        if is_recorded(live.facts.traceparent):
            with turn_span(live, now_ms=self._clock.now_ms()) as below:
                await self._add_waits(effects, below, assembled)
        else:
            await self._add_waits(effects, live.facts, assembled)
        assemble.add_events(assembled.owed, live.facts, result, self._installation)
        await self._notices.add(assembled.owed, live.facts, effects)
        if effects.phase is not None and effects.phase.is_final:
            assembled.freed.add(live.facts.organization_id)

    async def _add_waits(self, effects: Effects, facts: Facts, assembled: Assembled) -> None:
        assemble.add_tasks(
            assembled.write,
            assembled.owed,
            facts,
            effects,
            installation=self._installation,
            windows=self._windows,
        )
        for wait in effects.opened:
            if wait.kind is not WaitKind.TASK:
                await self._add_wait(wait, facts, assembled)

    async def _add_wait(self, wait: OpenWait, facts: Facts, assembled: Assembled) -> None:
        if wait.child is not None:
            child = await self._children.prepare(wait, facts, self._clock.now_ms())
            assemble.add_child(assembled.write, assembled.owed, facts, child, self._installation)
            if child.facts is None:
                _report_broken(wait, facts, child, assembled)
            if not child.admitted:
                assembled.freed.add(facts.organization_id)
        elif wait.kind is WaitKind.CONTINUE:
            assembled.follow_ups.append(Delivery(_go_on(facts)))
        elif wait.kind is WaitKind.TIMER and wait.due_at is not None:
            assembled.alarms.append((wait.due_at, Delivery(TimerDue(facts.execution_id, wait.key))))


def _report_broken(wait: OpenWait, facts: Facts, child: NewChild, assembled: Assembled) -> None:
    """Tell the parent that its child cannot be. Of one that nobody waits for, only the log can speak: its task is over."""
    assert wait.child is not None
    if wait.child.awaited:
        broken = ObligationBroken(facts.execution_id, wait.key, dict(child.obstacle))
        assembled.follow_ups.append(Delivery(broken))
    else:
        log.warning(
            "child_not_started",
            execution_id=str(facts.execution_id),
            task=wait.reference,
            detail=child.obstacle.get("detail"),
        )


def _go_on(facts: Facts) -> ContinueExecution:
    return ContinueExecution(organization_id=facts.organization_id, execution_id=facts.execution_id)
