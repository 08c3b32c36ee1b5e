"""The ports onto the modelled Redis: the orchestrator's bus, its view of queues, and the executors' bus."""

from __future__ import annotations

from collections.abc import Sequence

from sim_world import World, point

from common.serving.claims import (
    CANCELLED,
    Claim,
    Verdict,
    done,
    held,
    is_spent,
    judge,
    may_go_on,
)
from common.serving.ports import Delivery as QueueDelivery
from common.streams import names
from common.streams.consumer import Entry
from common.streams.publisher import Outgoing
from orchestrator.ports import CancelMark

LEASE_MS = 30_000
ORCHESTRATOR_IDLE_MS = 10_000


class OrchestratorBus:
    """`orchestrator.ports.Bus`, `QueueView` and `GenerationKey`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def publish(
        self, entries: Sequence[Outgoing], cancelled: Sequence[CancelMark], done: Sequence[Entry]
    ) -> None:
        for entry in entries:
            await point()
            self._world.redis.publish(entry.stream, entry.raw)
        await point()
        for mark in cancelled:
            key = names.claim(mark.queue, mark.task_id, mark.attempt)
            self._world.redis.claims[key] = (CANCELLED, self._world.now_ms + 4 * LEASE_MS)
        for entry in done:
            self._world.redis.stream(entry.stream).remove(int(entry.id))

    async def lengths(self, queues: Sequence[str]) -> dict[str, int]:
        await point()
        return {
            queue: len(self._world.redis.stream(names.tasks(queue)).entries) for queue in queues
        }

    async def oldest_ms(self, queue: str) -> int | None:
        # The model keeps no times of entries: an entry that is there may be the one, so look after it later.
        await point()
        return 0 if self._world.redis.stream(names.tasks(queue)).entries else None

    async def current(self) -> str:
        await point()
        if self._world.redis.generation is None:
            await self.renew()
        assert self._world.redis.generation is not None
        return self._world.redis.generation

    async def renew(self) -> str:
        await point()
        self._world.redis.generation = f"g{self._world.now_ms}"
        return self._world.redis.generation


class ExecutorBus:
    """`common.serving.ports.Bus` for one consumer of one queue."""

    def __init__(self, world: World, queue: str, consumer: str) -> None:
        self._world = world
        self._queue = queue
        self._consumer = consumer
        self._seen: set[int] = set()

    @property
    def _stream_name(self) -> str:
        return names.tasks(self._queue)

    async def read(self, count: int) -> list[QueueDelivery]:
        await point()
        stream = self._world.redis.stream(self._stream_name)
        taken = stream.read(
            self._consumer, self._world.now_ms, count, idle_ms=LEASE_MS, seen=self._seen
        )
        return [QueueDelivery(str(id), raw, claimed=stale) for id, raw, stale in taken]

    async def claim(self, wanted: Sequence[Claim]) -> list[Verdict]:
        await point()
        verdicts = []
        for claim in wanted:
            current = self._world.redis.claim_value(claim.key)
            verdict = judge(current, claim, self._consumer)
            if not self._world.mutation.claims and verdict is Verdict.DUPLICATE:
                verdict = Verdict.FRESH
            if verdict.runs:
                self._hold(claim)
            else:
                self._world.redis.stream(self._stream_name).remove(int(claim.entry_id))
            verdicts.append(verdict)
        return verdicts

    async def refresh(self, running: Sequence[Claim]) -> list[bool]:
        await point()
        answers = []
        stream = self._world.redis.stream(self._stream_name)
        for claim in running:
            current = self._world.redis.claim_value(claim.key)
            goes_on = may_go_on(current, claim, self._consumer) or not self._world.mutation.claims
            entry_id = int(claim.entry_id)
            if goes_on:
                self._hold(claim)
                if entry_id in stream.pending:
                    stream.pending[entry_id] = (self._consumer, self._world.now_ms)
            elif is_spent(current, claim):
                stream.remove(entry_id)
            answers.append(goes_on)
        return answers

    async def publish(self, entries: Sequence[tuple[str, bytes]]) -> None:
        for stream, raw in entries:
            await point()
            self._world.redis.publish(stream, raw)

    async def settle(self, finished: Sequence[Claim]) -> None:
        await point()
        for claim in finished:
            self._world.redis.claims[claim.key] = (
                done(claim.generation),
                self._world.now_ms + LEASE_MS,
            )
            self._world.redis.stream(self._stream_name).remove(int(claim.entry_id))

    async def drop(self, entry_ids: Sequence[str]) -> None:
        await point()
        for each in entry_ids:
            self._world.redis.stream(self._stream_name).remove(int(each))

    async def generation(self) -> str:
        await point()
        return self._world.redis.generation or ""

    async def leave(self, unfinished: Sequence[Claim]) -> None:
        await point()

    def _hold(self, claim: Claim) -> None:
        self._world.redis.claims[claim.key] = (
            held(claim.entry_id, self._consumer),
            self._world.now_ms + LEASE_MS * 4 // 3,
        )
