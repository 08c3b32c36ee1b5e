"""Deliveries in, batches out: what arrives while a batch is being stored makes up the next one.

An execution is in at most one batch of this process at a time; messages for one that is being stored wait for it.
Two batches may be under way, so that deciding one overlaps with PostgreSQL storing the other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from common import metrics
from orchestrator import measures
from orchestrator.advance import Advance, Outcome
from orchestrator.deciding import Undecided
from orchestrator.deliveries import Delivery, Group, group_by_execution
from orchestrator.inbox import Inbox
from orchestrator.ports import StoreAway
from orchestrator.suspects import Suspects

log = structlog.get_logger()

BATCH_MAX = 256
BATCHES_IN_FLIGHT = 2
PENDING_MAX = 2048
"""Readers pause above this many undecided deliveries."""

UNDECIDED_MAX = 500
"""Readers pause above this many executions that wait for a guarded evaluation."""

ALONE_AFTER = 3
"""A message delivered this often is decided alone: it may have ended the processes that had it."""

POISON_TRIES = 3
"""An execution whose turn fails this often, alone, is set aside."""

ALARM_AHEAD_MS = 60_000
"""Timers due later than this are left to the sweep."""


class Dispatcher:
    def __init__(
        self,
        advance: Advance,
        *,
        now_ms: Callable[[], int],
        set_aside: Callable[[Group], Awaitable[None]],
        suspects: Suspects,
        on_freed: Callable[[set[UUID]], None],
    ) -> None:
        self._suspects = suspects
        self._advance = advance
        self._now_ms = now_ms
        self._set_aside = set_aside
        self._on_freed = on_freed
        self._inbox = Inbox()
        self._busy: set[UUID] = set()
        self._blocked: dict[UUID, list[Delivery]] = {}
        self._failures: Counter[UUID] = Counter()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._slots = BATCHES_IN_FLIGHT
        self._undecided = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def feed(self, deliveries: Iterable[Delivery]) -> None:
        self._inbox.add(deliveries)
        if self._inbox:
            self._wake.set()
        self._make_room()

    async def room(self) -> None:
        """Wait until there is room for more deliveries."""
        await self._room.wait()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Store batches for as long as the block lasts; leaving stores what was fed before."""
        runner = asyncio.create_task(self._run(), name="dispatcher")
        try:
            yield
        finally:
            # What was read is stored, too: another replica would find it only after a while.
            self._inbox.close()
            while self._inbox or self._tasks:
                self._wake.set()
                await asyncio.wait([*self._tasks, runner], timeout=0.1)
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._inbox and self._slots > 0:
                batch = self._take()
                if not batch:
                    break
                self._slots -= 1
                self._start(self._store(batch))

    def _take(self) -> list[Delivery]:
        """The next batch: deliveries of executions that are in no batch now."""
        batch: list[Delivery] = []
        taken: set[UUID] = set()
        while self._inbox and len(batch) < BATCH_MAX:
            delivery = self._inbox.take(len(batch))
            execution_id = delivery.message.execution_id
            if execution_id in self._busy:
                self._blocked.setdefault(execution_id, []).append(delivery)
                continue
            is_suspect = self._is_suspect(delivery)
            if is_suspect and batch:
                self._inbox.put_back([delivery])
                break
            batch.append(delivery)
            taken.add(execution_id)
            if is_suspect:
                break
        self._busy |= taken
        self._make_room()
        return batch

    def _is_suspect(self, delivery: Delivery) -> bool:
        """Whether it gets a batch of its own: it failed before, or whoever had it before did not finish."""
        if delivery.entry is not None and delivery.entry.deliveries >= ALONE_AFTER:
            return True
        return bool(self._failures) and delivery.message.execution_id in self._failures

    def _make_room(self) -> None:
        """Let readers go on, or hold them."""
        if self._inbox.unread < PENDING_MAX and self._undecided < UNDECIDED_MAX:
            self._room.set()
        else:
            self._room.clear()

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("batch_failed", exc_info=task.exception())

    async def _store(self, batch: list[Delivery]) -> None:
        ids = {delivery.message.execution_id for delivery in batch}
        try:
            outcome = await self._decide(batch)
            ids -= {each.group.execution_id for each in outcome.undecided}
            self._clear(ids, outcome)
            await self._follow(outcome)
        finally:
            self._slots += 1
            self._release(ids)

    async def _decide(self, batch: list[Delivery]) -> Outcome:
        """Store the batch; one that may have ended other processes is counted first, and set aside in the end."""
        entry = batch[0].entry
        if entry is None or entry.deliveries < ALONE_AFTER:
            return await self._persist(batch)
        if not await self._suspects.begin(entry):
            for group in group_by_execution(batch):
                await self._give_up(group)
            return Outcome()
        try:
            return await self._persist(batch)
        finally:
            await self._suspects.end(entry)

    async def _persist(self, batch: list[Delivery]) -> Outcome:
        """Store the batch, for as long as PostgreSQL is away: nothing is lost meanwhile, and readers pause."""
        pause_s = 0.1
        started = time.perf_counter()
        while True:
            try:
                outcome = await self._advance.process(batch)
            except StoreAway as error:
                log.warning("database_away", error=str(error))
                metrics.DATABASE_RETRIES.inc()
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311
                pause_s = min(pause_s * 2, 2.0)
                continue
            except Exception:
                # A bug of ours, or data nobody foresaw. Each execution is decided alone now, to find the one at fault.
                log.exception("batch_failed", size=len(batch))
                return Outcome(poisoned=group_by_execution(batch))
            metrics.BATCH_SIZE.observe(len(batch))
            measures.WHOLE.observe(time.perf_counter() - started)
            return outcome

    async def _finish(self, undecided: Undecided) -> None:
        group = undecided.group
        is_again_undecided = False
        try:
            outcome = await self._advance.finish(undecided)
            is_again_undecided = bool(outcome.undecided)
            if not is_again_undecided:
                self._clear({group.execution_id}, outcome)
            await self._follow(outcome)
        except StoreAway:
            self.feed(group.deliveries)
        except Exception:
            log.exception("evaluation_failed", execution_id=str(group.execution_id))
            await self._poisoned(group)
        finally:
            self._undecided -= 1
            self._make_room()
            if not is_again_undecided:
                self._release({group.execution_id})

    async def _follow(self, outcome: Outcome) -> None:
        for undecided in outcome.undecided:
            self._undecided += 1
            self._start(self._finish(undecided))
        self.feed(outcome.follow_ups)
        loop = asyncio.get_running_loop()
        now_ms = self._now_ms()
        for due_ms, delivery in outcome.alarms:
            if due_ms - now_ms < ALARM_AHEAD_MS:
                loop.call_later(max(due_ms - now_ms, 0) / 1000, self._fire, due_ms, delivery)
        if outcome.freed:
            self._on_freed(outcome.freed)
        for group in outcome.poisoned:
            await self._poisoned(group)

    def _fire(self, due_ms: int, delivery: Delivery) -> None:
        metrics.TIMER_LAG_SECONDS.observe(max(self._now_ms() - due_ms, 0) / 1000)
        self.feed([delivery])

    def _clear(self, ids: set[UUID], outcome: Outcome) -> None:
        """What was stored is no suspect any more; it may only have been in a batch with one that failed."""
        if self._failures:
            for execution_id in ids - {group.execution_id for group in outcome.poisoned}:
                self._failures.pop(execution_id, None)

    async def _poisoned(self, group: Group) -> None:
        self._failures[group.execution_id] += 1
        if self._failures[group.execution_id] < POISON_TRIES:
            self.feed(group.deliveries)
            return
        del self._failures[group.execution_id]
        await self._give_up(group)

    async def _give_up(self, group: Group) -> None:
        try:
            await self._set_aside(group)
        except StoreAway:
            self.feed(group.deliveries)

    def _release(self, ids: set[UUID]) -> None:
        self._busy -= ids
        for execution_id in ids:
            blocked = self._blocked.pop(execution_id, None)
            if blocked:
                self._inbox.put_back(blocked)
        self._wake.set()
