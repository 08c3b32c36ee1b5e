"""One queue of one process: the loops that drive `steps`.

Reading, running, delivering and refreshing go on at once. A slot is taken from the moment an entry is read until its
result is delivered, so whatever happens to Redis, no more than `slots` results ever wait in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from typing import Final, TypeVar

from common.contracts.base import Request
from common.ids import uuid7_ms
from common.lifecycle import background
from common.logs import get_logger
from common.metrics import SLOTS, SLOTS_BUSY, TASK_QUEUE_SECONDS, TASK_SECONDS, TASKS
from common.serving.outcomes import TimedOut
from common.serving.ports import Delivery
from common.serving.steps import Finished, Job, Serving, accept, deliver, perform, refresh

log = get_logger(__name__)

T = TypeVar("T")

READ_ENTRIES_MAX: Final = 256
NUDGE_GAP_S: Final = 0.05
ANSWER_S: Final = 5.0
"""How long one who leaves waits for what Redis says about the entries just read."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def within(work: Awaitable[T], seconds: float | None) -> T:
    """Await `work` for at most `seconds`; raise `TimedOut`, never the work's own `TimeoutError` in disguise."""
    if seconds is None:
        return await work
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError as error:
        if limit.expired():
            raise TimedOut from error
        raise


class QueueWorker:
    """Serves one queue with a number of slots."""

    def __init__(self, serving: Serving, *, slots: int, refresh_s: float) -> None:
        self._serving = serving
        self._slots = slots
        self._refresh_s = refresh_s
        self._running: dict[str, Job] = {}
        """By claim key: everything that has a slot."""

        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._outbox: list[Finished] = []
        self._to_deliver = asyncio.Event()
        self._changed = asyncio.Event()
        """Set whenever a slot becomes free."""

        self._nudged = asyncio.Event()
        queue = serving.queue
        SLOTS.labels(queue).set(slots)
        self._busy = SLOTS_BUSY.labels(queue)
        self._seconds = TASK_SECONDS.labels(queue)
        self._queue_seconds = TASK_QUEUE_SECONDS.labels(queue)
        self._ended = {
            outcome: TASKS.labels(queue, outcome)
            for outcome in ("completed", "faulted", "cancelled", "lost", "duplicate")
        }

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return len(self._running)

    def nudge(self) -> None:
        """Something was cancelled: look at once whether it runs here."""
        if self._running:
            self._nudged.set()

    @contextlib.asynccontextmanager
    async def running(self, *, drain_s: float) -> AsyncGenerator[None]:
        """Serve for as long as the block lasts; then finish what runs, for `drain_s`, and hand back the rest."""
        try:
            async with background(self._refresh_forever()), background(self._deliver_forever()):
                try:
                    async with background(self._read_forever()):
                        yield
                finally:
                    await self._drain(drain_s)
        finally:
            await self._stop_all()
            await self._serving.bus.leave([job.claim for job in self._running.values()])

    # --- reading ----------------------------------------------------------------------------------------------

    async def _read_forever(self) -> None:
        while True:
            free = await self._free_slots()
            deliveries = await self._serving.bus.read(min(free, READ_ENTRIES_MAX))
            if not deliveries:
                continue
            try:
                await self._accept(deliveries)
            except Exception:
                # A bug of ours must not end the loop; the entries stay pending and come again.
                log.exception("entries_not_accepted", queue=self._serving.queue)
                await asyncio.sleep(self._refresh_s)

    async def _accept(self, deliveries: Sequence[Delivery]) -> None:
        """Claim and start what was read. Whoever leaves meanwhile learns first which claims are its own."""
        accepting = asyncio.ensure_future(accept(self._serving, deliveries, self._running))
        try:
            jobs = await asyncio.shield(accepting)
        except asyncio.CancelledError:
            # A claim that nobody knows of would outlive its entry, which is handed back under another id: whoever
            # reads that one would take it for a duplicate.
            done, _ = await asyncio.wait({accepting}, timeout=ANSWER_S)
            if done and not accepting.cancelled() and accepting.exception() is None:
                self._start(accepting.result())
            accepting.cancel()
            raise
        self._start(jobs)
        if len(jobs) < len(deliveries):
            self._ended["duplicate"].inc(len(deliveries) - len(jobs))

    async def _free_slots(self) -> int:
        while (free := self._slots - len(self._running)) <= 0:
            self._changed.clear()
            await self._changed.wait()
        return free

    def _start(self, jobs: list[Job]) -> None:
        loop = asyncio.get_running_loop()
        started_at_ms = now_ms()
        for job in jobs:
            key = job.claim.key
            self._running[key] = job
            self._tasks[key] = loop.create_task(self._perform(job))
            if job.message.message_id.version == 7:  # made when it was published
                waited_ms = started_at_ms - uuid7_ms(job.message.message_id)
                self._queue_seconds.observe(max(0, waited_ms) / 1000)
            if job.worker_lost:
                self._ended["lost"].inc()
        self._busy.set(len(self._running))

    async def _perform(self, job: Job) -> None:
        began = time.perf_counter()
        try:
            finished = await perform(self._serving, job)
        except asyncio.CancelledError:
            self._release(job)
            raise
        except Exception:
            # A bug of ours: the entry stays pending, and runs again when its lease is over.
            log.exception("entry_failed", queue=self._serving.queue, entry_id=job.claim.entry_id)
            self._release(job)
            return
        self._seconds.observe(time.perf_counter() - began)
        self._outbox.append(finished)
        self._to_deliver.set()

    def _release(self, job: Job) -> None:
        self._running.pop(job.claim.key, None)
        self._tasks.pop(job.claim.key, None)
        self._busy.set(len(self._running))
        self._changed.set()

    # --- delivering -------------------------------------------------------------------------------------------

    async def _deliver_forever(self) -> None:
        while True:
            await self._to_deliver.wait()
            self._to_deliver.clear()
            batch, self._outbox = self._outbox, []
            await deliver(self._serving, batch)
            for one in batch:
                self._running.pop(one.claim.key, None)
                self._tasks.pop(one.claim.key, None)
            faults = sum(one.is_fault for one in batch)
            self._ended["completed"].inc(len(batch) - faults)
            self._ended["faulted"].inc(faults)
            self._busy.set(len(self._running))
            self._changed.set()

    # --- refreshing -------------------------------------------------------------------------------------------

    async def _refresh_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._refresh_s):
                    await self._nudged.wait()
            self._nudged.clear()
            for job in await refresh(self._serving, self._running.values()):
                self._abort(job)
            await asyncio.sleep(NUDGE_GAP_S)

    def _abort(self, job: Job) -> None:
        if job.context is not None:
            job.context.is_cancelled = True
        task = self._tasks.get(job.claim.key)
        if task is None or task.done():
            return  # Finished meanwhile: its result is on the way, and counts only if it is still wanted.
        kind = "request" if isinstance(job.message, Request) else job.message.function
        log.info("task_aborted", queue=self._serving.queue, entry_id=job.claim.entry_id, kind=kind)
        self._ended["cancelled"].inc()
        task.cancel()

    # --- stopping ---------------------------------------------------------------------------------------------

    async def _drain(self, drain_s: float) -> None:
        """Nothing is read any more: wait until what runs is delivered, or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                while self._running:
                    self._changed.clear()
                    await self._changed.wait()

    async def _stop_all(self) -> None:
        unfinished = [task for task in self._tasks.values() if not task.done()]
        for job in self._running.values():
            if job.context is not None:
                job.context.is_cancelled = True
        held = dict(self._running)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        # Their claims are handed back; being cancelled has only freed their slots.
        self._running = held
