"""The protocol of serving, step by step: take entries, perform one, deliver results, refresh what runs.

Nothing here knows asyncio or Redis: every effect is one `await` of a port, and between two of them the process may
die. The loops in `queue` drive these functions, and so does the simulation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar
from uuid import uuid4

from common.contracts.base import Message, Request, encode
from common.contracts.tasks import TaskClaim, TaskFailed, TaskHeartbeat, TaskRequested, WorkerLost
from common.contracts.wire import Unreadable, decode_task
from common.logs import get_logger
from common.security.vault import Vault
from common.serving.answers import answer_request
from common.serving.claims import Claim, Verdict
from common.serving.context import DeltaSink, TaskContext
from common.serving.failpoints import (
    AFTER_CLAIM,
    AFTER_RESULT_PUBLISH,
    BEFORE_RESULT_PUBLISH,
    no_failpoint,
)
from common.serving.outcomes import attempt_task
from common.serving.ports import Bus, Delivery, Grants, Handler, RequestHandler, Store
from common.streams import names

log = get_logger(__name__)

T = TypeVar("T")

OUTPUT_BYTES_MAX: Final = 1024 * 1024
HEARTBEAT_MS: Final = 30_000


async def without_limit(work: Awaitable[T], seconds: float | None) -> T:
    del seconds
    return await work


class Generations:
    """Which contents of Redis the entries that are read belong to."""

    def __init__(self) -> None:
        self._known = ""

    async def is_stale(self, bus: Bus, generation: str) -> bool:
        """Whether the entry survived from before a loss; what it stood for is published again."""
        if generation in {"", self._known}:
            return False
        # The entry may also be newer than what we know.
        await self.renew(bus)
        return self._known not in {"", generation}

    async def renew(self, bus: Bus) -> None:
        self._known = await bus.generation()


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """Everything the steps need to serve one queue."""

    queue: str
    consumer: str
    bus: Bus
    store: Store
    grants: Grants
    functions: Mapping[str, Handler]
    """By `name:version`, or `http`."""

    requests: Mapping[type[Request], RequestHandler]
    clock_ms: Callable[[], int]
    within: Callable[[Awaitable[Any], float | None], Awaitable[Any]] = without_limit
    """Await for at most so many seconds; raises `outcomes.TimedOut`."""

    at: Callable[[str], None] = no_failpoint
    deltas: DeltaSink | None = None
    generations: Generations = field(default_factory=Generations)
    output_bytes_max: int = OUTPUT_BYTES_MAX
    vault: Vault = field(default_factory=Vault)
    """Opens inputs that hold secrets."""


@dataclass(slots=True, eq=False)
class Job:
    """An entry that is ours to run."""

    claim: Claim
    message: TaskRequested | Request
    worker_lost: bool = False
    """Another consumer had it and is gone; say so before anything else."""

    context: TaskContext | None = None
    heard_at_ms: int = 0
    """When the orchestrator last heard of it."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that is over, and what there is to tell: nothing, where permission to run was refused."""

    claim: Claim
    answers: tuple[tuple[str, bytes], ...]
    is_fault: bool = False
    """Its answer says that it failed."""


async def accept(
    serving: Serving, deliveries: Sequence[Delivery], running: Mapping[str, Job]
) -> list[Job]:
    """Which of the entries that were read are to be run. `running` is what runs here, by claim key."""
    jobs: list[Job] = []
    dropped: list[str] = []
    for delivery in deliveries:
        job = _read(serving, delivery)
        if job is None:
            continue
        already = running.get(job.claim.key)
        if already is not None:
            # Redis may have lost the claim, but we know. Our own entry, read again, is simply still running.
            if already.claim.entry_id != delivery.id:
                dropped.append(delivery.id)
        else:
            if await serving.generations.is_stale(serving.bus, job.claim.generation):
                job.claim = replace(job.claim, is_stale=True)
            jobs.append(job)
    if dropped:
        await serving.bus.drop(dropped)
    if not jobs:
        return []
    verdicts = await serving.bus.claim([job.claim for job in jobs])
    return [job for job, verdict in zip(jobs, verdicts, strict=True) if _is_ours(job, verdict)]


def _read(serving: Serving, delivery: Delivery) -> Job | None:
    try:
        message = decode_task(delivery.raw)
    except Unreadable as error:
        # Kept pending for an executor that can read it: a newer version may be on its way.
        log.error("task_unreadable", queue=serving.queue, entry_id=delivery.id, error=str(error))
        return None
    if isinstance(message, TaskRequested):
        key = names.claim(serving.queue, message.task_id, message.attempt)
        generation = message.generation
    else:
        key, generation = names.claim(serving.queue, message.message_id, 0), ""
    return Job(Claim(delivery.id, key, generation), message, worker_lost=delivery.claimed)


def _is_ours(job: Job, verdict: Verdict) -> bool:
    if not verdict.runs:
        log.debug("entry_dropped", entry_id=job.claim.entry_id, verdict=verdict.name)
        return False
    # An abandoned entry without a claim outlived its owner's claim, or all claims were lost: its owner is gone.
    job.worker_lost = verdict is Verdict.TAKEN_OVER or (
        job.worker_lost and verdict is Verdict.FRESH
    )
    return True


async def perform(serving: Serving, job: Job) -> Finished:
    """Run one entry to its result. The result is not published yet."""
    message = job.message
    if isinstance(message, Request):
        serving.at(AFTER_CLAIM)
        return Finished(job.claim, await answer_request(serving, message))
    job.heard_at_ms = started_at_ms = serving.clock_ms()
    results = names.results(message.partition)
    if job.worker_lost:
        await serving.bus.publish([(results, encode(_report(WorkerLost, serving, message)))])
    serving.at(AFTER_CLAIM)
    if message.at_most_once and not await serving.grants.ask(_ask(message), message.partition):
        log.warning("task_not_granted", execution_id=str(message.execution_id), key=message.key)
        return Finished(job.claim, ())
    job.context = _context(serving, message)
    report = await attempt_task(serving, message, job.context, started_at_ms)
    return Finished(job.claim, ((results, encode(report)),), isinstance(report, TaskFailed))


def _ask(task: TaskRequested) -> TaskClaim:
    # Never derived from anything that outlives this run: a second run must be a second question.
    return TaskClaim(
        organization_id=task.organization_id,
        traceparent=task.traceparent,
        execution_id=task.execution_id,
        key=task.key,
        nonce=uuid4().hex,
    )


def _context(serving: Serving, task: TaskRequested) -> TaskContext:
    return TaskContext(
        organization_id=task.organization_id,
        execution_id=task.execution_id,
        task_id=task.task_id,
        attempt=task.attempt,
        workflow_id=task.workflow_id,
        name=task.name,
        reference=task.reference,
        traceparent=task.traceparent,
        deltas=serving.deltas,
    )


async def deliver(serving: Serving, finished: Sequence[Finished]) -> None:
    """Publish results, then remove their entries: a crash in between makes a result come twice, never not at all."""
    answers = [answer for one in finished for answer in one.answers]
    serving.at(BEFORE_RESULT_PUBLISH)
    if answers:
        await serving.bus.publish(answers)
    serving.at(AFTER_RESULT_PUBLISH)
    await serving.bus.settle([one.claim for one in finished])


async def refresh(serving: Serving, jobs: Collection[Job]) -> list[Job]:
    """Keep the claims of what runs here, tell of what runs for long; return the jobs that must stop."""
    await serving.generations.renew(serving.bus)
    if not jobs:
        return []
    held = list(jobs)
    answers = await serving.bus.refresh([job.claim for job in held])
    await _send_heartbeats(serving, [job for job, ok in zip(held, answers, strict=True) if ok])
    return [job for job, ok in zip(held, answers, strict=True) if not ok]


async def _send_heartbeats(serving: Serving, jobs: Sequence[Job]) -> None:
    now_ms = serving.clock_ms()
    beats: list[tuple[str, bytes]] = []
    for job in jobs:
        task = job.message
        if not isinstance(task, TaskRequested) or not job.heard_at_ms:
            continue
        if now_ms - job.heard_at_ms >= HEARTBEAT_MS:
            job.heard_at_ms = now_ms
            beat = encode(_report(TaskHeartbeat, serving, task))
            beats.append((names.results(task.partition), beat))
    if beats:
        await serving.bus.publish(beats)


def _report(kind: Callable[..., Message], serving: Serving, task: TaskRequested) -> Message:
    return kind(
        organization_id=task.organization_id,
        traceparent=task.traceparent,
        execution_id=task.execution_id,
        key=task.key,
        task_id=task.task_id,
        attempt=task.attempt,
        worker=serving.consumer,
    )
