"""A process that serves tasks: one worker per queue, and what they share.

    server = TaskServer(
        queues=("knowledge.search",), slots=8, functions={"search:1.0.0": search}, requests={Search: answer_search},
        redis_url=…, instance=…, publisher=…, requester=…, store=PayloadStore(pool), lease=settings,
    )
    async with requester.running(), server.running(drain_s=20):
        ...

Functions are coroutines `(input, TaskContext) -> JSON` by `name:version`; request handlers are coroutines
`(message) -> Answer` by message class, whose `EngineError`s become refusals.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence

from common.contracts.base import Request
from common.lifecycle import background
from common.security.vault import Vault
from common.serving.deltas import Deltas
from common.serving.failpoints import failpoint
from common.serving.grants import AskedGrants
from common.serving.nudges import listen_for_cancels
from common.serving.ports import Handler, RequestHandler, Store
from common.serving.queue import QueueWorker, now_ms, within
from common.serving.redis_bus import RedisBus
from common.serving.steps import Serving
from common.settings.groups import LeaseSettings
from common.streams.connection import Link
from common.streams.publisher import Publisher
from common.streams.requests import Requester


def instance_name() -> str:
    """Unlike that of any other process, before or after: a consumer's pending entries are its own."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class TaskServer:
    """Serves tasks and requests of some queues."""

    def __init__(
        self,
        *,
        queues: Sequence[str],
        slots: int | Mapping[str, int],
        functions: Mapping[str, Handler],
        requests: Mapping[type[Request], RequestHandler] | None = None,
        redis_url: str,
        instance: str,
        publisher: Publisher,
        requester: Requester,
        store: Store,
        lease: LeaseSettings,
        armed_failpoint: str | None = None,
        vault: Vault | None = None,
    ) -> None:
        """`slots`: how many entries of a queue run at a time, one number for all or one for each. Without a `vault`, tasks
        that are given secrets fail."""
        assert len(set(queues)) == len(queues), "a queue is served once per process"
        lease_ms = int(lease.task_lease.total_seconds() * 1000)
        self._redis_url = redis_url
        self._deltas = Deltas(Link(redis_url, name="kwe-deltas"))
        self._buses = {
            queue: RedisBus(
                queue,
                consumer=instance,
                redis_url=redis_url,
                publisher=publisher,
                lease_ms=lease_ms,
            )
            for queue in queues
        }
        self._workers = {
            queue: QueueWorker(
                Serving(
                    queue=queue,
                    consumer=instance,
                    bus=bus,
                    store=store,
                    grants=AskedGrants(requester),
                    functions=functions,
                    requests=requests or {},
                    clock_ms=now_ms,
                    within=within,
                    at=failpoint(armed_failpoint),
                    deltas=self._deltas,
                    vault=vault or Vault(),
                ),
                slots=slots if isinstance(slots, int) else slots[queue],
                refresh_s=lease.refresh_interval.total_seconds(),
            )
            for queue, bus in self._buses.items()
        }

    @property
    def busy(self) -> int:
        """How many tasks and requests run right now."""
        return sum(worker.busy for worker in self._workers.values())

    @contextlib.asynccontextmanager
    async def running(self, *, drain_s: float) -> AsyncGenerator[None]:
        """Serve for as long as the block lasts. Leaving it stops reading, waits for what runs at most `drain_s`,
        and hands back the rest to other processes."""
        nudges = {queue: worker.nudge for queue, worker in self._workers.items()}
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            for bus in self._buses.values():
                await bus.forget_dead_consumers()
            await stack.enter_async_context(background(listen_for_cancels(self._redis_url, nudges)))
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for queue, worker in self._workers.items():
                    group.create_task(_serve(worker, stop, drain_s), name=f"queue {queue}")
                try:
                    yield
                finally:
                    stop.set()  # The group then waits until all have drained, side by side.

    async def _close(self) -> None:
        await self._deltas.close()
        for bus in self._buses.values():
            await bus.close()


async def _serve(worker: QueueWorker, stop: asyncio.Event, drain_s: float) -> None:
    async with worker.running(drain_s=drain_s):
        await stop.wait()
