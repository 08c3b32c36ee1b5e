"""Batches of deliveries: who shares one, and who must not any more."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

from common.contracts.executions import ContinueExecution
from common.ids import uuid7
from orchestrator.advance import Outcome
from orchestrator.deliveries import Delivery, Group, TimerDue
from orchestrator.dispatcher import BATCH_MAX, BATCHES_IN_FLIGHT, PENDING_MAX, Dispatcher
from orchestrator.inbox import SHARE


class Advance:
    """Stores everything but what is about the `bad` ones, which ruin the batch that they are in."""

    def __init__(self) -> None:
        self.bad: set[UUID] = set()
        self.batches: list[set[UUID]] = []

    async def process(self, batch: Iterable[Delivery]) -> Outcome:
        ids = {delivery.message.execution_id for delivery in batch}
        self.batches.append(ids)
        if ids & self.bad:
            raise RuntimeError("a bug")
        return Outcome()


class Suspects:
    pass


def timer(execution_id: UUID) -> Delivery:
    return Delivery(TimerDue(execution_id, "1"))


def going_on(execution_id: UUID) -> Delivery:
    return Delivery(ContinueExecution(organization_id=execution_id, execution_id=execution_id))


class EndlessAdvance(Advance):
    """Every execution goes on by itself after each turn."""

    def __init__(self, awaited: UUID) -> None:
        super().__init__()
        self._awaited = awaited
        self.has_come = asyncio.Event()

    async def process(self, batch: Iterable[Delivery]) -> Outcome:
        await super().process(batch)
        if self._awaited in self.batches[-1]:
            self.has_come.set()
        await asyncio.sleep(0)
        return Outcome(follow_ups=[going_on(each.message.execution_id) for each in batch])


async def test_executions_that_go_on_for_ever_keep_nobody_from_being_read_or_stopped() -> None:
    message = timer(uuid7())
    id = message.message.execution_id
    advance = EndlessAdvance(id)
    dispatcher = Dispatcher(
        advance,  # type: ignore[arg-type]
        now_ms=lambda: 0,
        set_aside=lambda _: asyncio.sleep(0),
        suspects=Suspects(),  # type: ignore[arg-type]
        on_freed=lambda _: None,
    )
    dispatcher.feed([going_on(uuid7()) for _ in range(2 * PENDING_MAX)])
    async with asyncio.timeout(20):
        async with dispatcher.running():
            await dispatcher.room()
            before = len(advance.batches)
            dispatcher.feed([message])
            await advance.has_come.wait()
        # Two batches were under way; it is in the next one. And leaving came to an end.
        place = [id in each for each in advance.batches].index(True)
    assert place <= before + BATCHES_IN_FLIGHT


async def test_executions_that_go_on_get_their_share_beside_messages() -> None:
    advance = Advance()
    dispatcher = Dispatcher(
        advance,  # type: ignore[arg-type]
        now_ms=lambda: 0,
        set_aside=lambda _: asyncio.sleep(0),
        suspects=Suspects(),  # type: ignore[arg-type]
        on_freed=lambda _: None,
    )
    waiting = [uuid7() for _ in range(BATCH_MAX)]
    dispatcher.feed(going_on(each) for each in waiting)
    dispatcher.feed(timer(uuid7()) for _ in range(3 * BATCH_MAX))
    async with dispatcher.running():
        pass
    assert len(advance.batches[0] & set(waiting)) == BATCH_MAX // SHARE
    assert set(waiting) <= set().union(*advance.batches)


async def test_an_execution_that_shared_a_batch_with_a_failing_one_is_cleared_by_its_success() -> (
    None
):
    advance = Advance()
    given_up: asyncio.Queue[UUID] = asyncio.Queue()

    async def set_aside(group: Group) -> None:
        given_up.put_nowait(group.execution_id)

    dispatcher = Dispatcher(
        advance,  # type: ignore[arg-type]
        now_ms=lambda: 0,
        set_aside=set_aside,
        suspects=Suspects(),  # type: ignore[arg-type]
        on_freed=lambda _: None,
    )
    innocent, bad, other = uuid7(), uuid7(), uuid7()
    advance.bad = {bad}
    dispatcher.feed([timer(innocent), timer(bad)])
    async with dispatcher.running(), asyncio.timeout(5):
        assert await given_up.get() == bad
    assert given_up.empty()
    assert advance.batches.count({innocent}) == 1

    dispatcher.feed([timer(innocent), timer(other)])
    async with dispatcher.running():
        pass
    assert advance.batches[-1] == {innocent, other}
