"""One batch: messages in, turns decided, one transaction, then the streams are told.

    group by execution → load → decide (pure turns) → commit → publish and acknowledge

Nothing is published before the commit, nothing acknowledged before it is published. A crash at any point leaves the
entries to be delivered again; turns that were committed then find their message already answered. Two replicas that
decide the same execution are told apart by its version: the loser decides again on what the winner wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from common import metrics
from common.contracts.executions import ChildClosed
from common.streams.connection import REDIS_ERRORS
from orchestrator.accepting import Accepting
from orchestrator.answers import answer_absent, refusal_of
from orchestrator.committing import Assembled, Committed, Committing
from orchestrator.deciding import Deciding, Undecided
from orchestrator.deliveries import Delivery, Group, group_by_execution
from orchestrator.events import Events
from orchestrator.live import LiveExecutions
from orchestrator.measures import COMMITTING, DECIDING, PUBLISHING, measure
from orchestrator.ports import Bus, Store, StoreAway
from orchestrator.publications import Owed

log = structlog.get_logger()

ROUNDS_MAX = 10
"""Rounds of deciding again after lost races; past it the entries are left to be delivered again."""

Failpoint = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What is left to do after a batch."""

    undecided: list[Undecided] = field(default_factory=list)
    """Executions that wait for a guarded evaluation; see them through with `Advance.finish`."""

    follow_ups: list[Delivery] = field(default_factory=list)
    """What this process must tell itself next."""

    alarms: list[tuple[int, Delivery]] = field(default_factory=list)
    """Timers that were opened: when they are due (ms since the epoch), and what to deliver then."""

    poisoned: list[Group] = field(default_factory=list)
    """Executions whose own turn or data failed; the caller counts, and sets them aside in the end."""

    freed: set[UUID] = field(default_factory=set)
    """Organisations in which admission may go on."""

    def extend(self, other: Outcome) -> None:
        self.undecided += other.undecided
        self.follow_ups += other.follow_ups
        self.alarms += other.alarms
        self.poisoned += other.poisoned
        self.freed |= other.freed


class Advance:
    """Decides and stores batches. The caller keeps an execution out of two batches at once."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        live: LiveExecutions,
        accepting: Accepting,
        deciding: Deciding,
        committing: Committing,
        events: Events,
        failpoint: Failpoint = lambda _name: None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._live = live
        self._accepting = accepting
        self._deciding = deciding
        self._committing = committing
        self._events = events
        self._failpoint = failpoint

    async def process(self, deliveries: Iterable[Delivery]) -> Outcome:
        """Handle the deliveries. Raises `StoreAway`, with nothing acknowledged, when PostgreSQL cannot be reached."""
        outcome = Outcome()
        groups = group_by_execution(deliveries)
        ids = [group.execution_id for group in groups]
        for _ in range(ROUNDS_MAX):
            try:
                groups = await self._round(groups, outcome)
            except BaseException:
                # Those of earlier rounds too: an undecided turn has changed its state, and will be decided again.
                self._live.forget(ids)
                raise
            if not groups:
                return outcome
        raise StoreAway("executions kept being advanced by others")

    async def finish(self, undecided: Undecided) -> Outcome:
        """Evaluate what one execution waits for, then store its turn as a batch of its own."""
        outcome, group = Outcome(), undecided.group
        try:
            await self._deciding.finish(undecided)
            again = await self._store_and_tell([group], [], outcome)
        except BaseException:
            self._live.forget([group.execution_id])
            raise
        if again:
            outcome.extend(await self.process(group.deliveries))
        return outcome

    async def _round(self, groups: Sequence[Group], outcome: Outcome) -> list[Group]:
        """One attempt. The groups that lost a race, or may have, come back to be decided again."""
        for group in groups:
            group.live, group.result, group.is_remembered = None, None, False
            group.replies.clear()
        starts = [group for group in groups if group.start is not None]
        await self._accepting.prepare(starts)
        for group in starts:
            if group.live is None or _is_held(group):
                outcome.follow_ups += group.leave_only_starts()
        await self._live.attach([group for group in groups if group.start is None])
        self._turn_away(groups)
        await self._load_children(groups)
        await self._load_inputs(starts)
        await self._events.load_arrivals(groups)
        present = [group for group in groups if group.live is not None]
        with DECIDING.time():
            decision = await self._deciding.decide([each for each in present if not _is_held(each)])
        outcome.undecided += decision.undecided
        self._set_aside(decision.poisoned, outcome)
        held = [group for group in present if _is_held(group)]
        absent = [group for group in groups if group.live is None]
        return await self._store_and_tell([*decision.decided, *held], absent, outcome)

    @staticmethod
    def _turn_away(groups: Sequence[Group]) -> None:
        """Controls that can have no effect are refused, whatever the others of the batch come to."""
        for group in (each for each in groups if each.has_controls):
            for delivery in list(group.deliveries):
                refusal = refusal_of(delivery.message, group.live)
                if refusal is not None:
                    group.refusals.append(refusal)
                    group.deliveries.remove(delivery)
                    group.turned_away.append(delivery)

    async def _load_children(self, groups: Sequence[Group]) -> None:
        wanted = {
            each.message.child_id: group
            for group in groups
            for each in group.deliveries
            if isinstance(each.message, ChildClosed)
        }
        if wanted:
            for child_id, closed in (await self._store.closed(list(wanted))).items():
                wanted[child_id].closed_children[child_id] = closed

    async def _load_inputs(self, starts: Sequence[Group]) -> None:
        """Inputs that came by reference are kept with the execution, where people look for them."""
        references = [
            (group.start.input_ref.owner_id, str(group.start.input_ref.id))
            for group in starts
            if group.live is not None
            and group.start is not None
            and group.start.input_ref is not None
        ]
        bodies = await self._store.load_values(references) if references else {}
        for group in starts:
            group.read_input(bodies)

    async def _store_and_tell(
        self, groups: Sequence[Group], absent: Sequence[Group], outcome: Outcome
    ) -> list[Group]:
        doubtful = [group for group in groups if group.is_doubtful]
        self._live.forget(group.execution_id for group in doubtful)
        groups = [group for group in groups if not group.is_doubtful]
        await answer_absent(self._store, [group for group in absent if group.start is None])
        self._failpoint("orchestrator-before-commit")
        with COMMITTING.time():
            committed = await self._committing.commit(
                groups, answers=_answers([*groups, *absent], absent)
            )
        self._failpoint("orchestrator-after-commit")
        await self._take_stock(committed, outcome)
        with PUBLISHING.time():
            for part in committed.parts:
                await self._tell(part)
                outcome.follow_ups += await self._events.look_after(part)
        return [*committed.beaten, *doubtful]

    async def _take_stock(self, committed: Committed, outcome: Outcome) -> None:
        for part in committed.parts:
            measure(part.groups)
            self._live.keep(part.groups)
            outcome.follow_ups += part.follow_ups
            outcome.alarms += part.alarms
            outcome.freed |= part.freed
        self._live.forget(group.execution_id for group in committed.beaten)
        metrics.COMPARE_AND_SET_LOST.inc(len(committed.beaten))
        self._set_aside(committed.refused, outcome)
        for group in committed.taken:
            outcome.follow_ups += group.leave_only_starts()
        if committed.taken:
            await self._accepting.answer_taken(committed.taken)
            answered = await self._committing.commit([], answers=_answers([], committed.taken))
            committed.parts.extend(answered.parts)

    def _set_aside(self, groups: Sequence[Group], outcome: Outcome) -> None:
        self._live.forget(group.execution_id for group in groups)
        outcome.poisoned += groups

    async def _tell(self, part: Assembled) -> None:
        """Publish what the transaction owes. If Redis is away the note stays, and a sweep publishes it."""
        owed = part.owed
        try:
            await self._bus.publish([*owed.outgoing, *owed.direct], owed.cancelled, owed.done)
        except REDIS_ERRORS as error:
            log.warning("publishing_failed", error=str(error) or type(error).__name__)
            metrics.STREAM_ERRORS.labels(operation="publish").inc()
            return
        self._failpoint("orchestrator-after-publish")
        if part.write.publication is not None:
            self._committing.pay(part.write.publication)


def _is_held(group: Group) -> bool:
    """A start that must wait for admission: stored, but not begun."""
    return group.start is not None and group.live is not None and not group.live.may_start


def _answers(groups: Sequence[Group], absent: Sequence[Group]) -> Owed:
    """Replies that no turn gives: to messages about executions that are not there, or not theirs."""
    answers = Owed()
    for group in absent:
        answers.done.extend(group.entries)
        for stream, reply in group.replies:
            answers.add_reply(stream, reply)
    for group in groups:
        answers.done.extend(each.entry for each in group.turned_away if each.entry is not None)
        for stream, reply in group.refusals:
            answers.add_reply(stream, reply)
    return answers
