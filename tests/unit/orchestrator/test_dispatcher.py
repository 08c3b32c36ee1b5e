"""Batches of deliveries: who shares one, and who must not any more."""

import asyncio
from collections.abc import Iterable
from uuid import UUID

from common.ids import uuid7
from orchestrator.advance import Outcome
from orchestrator.deliveries import Delivery, Group, TimerDue
from orchestrator.dispatcher import Dispatcher


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
