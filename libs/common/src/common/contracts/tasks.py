"""One try of a task: the request to an executor, and everything that can be said about it."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from common.contracts.base import Json, Message, PayloadReference, Request


class TaskRequested(Message):
    """Run one try of a task. The same `task_id` is the idempotency key of its side effects over all tries."""

    type: Literal["task.requested.v1"] = "task.requested.v1"
    execution_id: UUID
    key: str
    """The wait that the result satisfies; it names the try."""

    task_id: UUID
    attempt: int
    """The try, from 1."""

    function: str
    """`http`, or `name:version`."""

    workflow_id: str
    name: str
    reference: str
    partition: int
    """Where the result goes."""

    input: Json = None
    input_ref: PayloadReference | None = None
    timeout_ms: int | None = None
    at_most_once: bool = False
    generation: str = ""
    """Of the contents of Redis it was published into; executors drop what is left of an earlier one."""


class _TaskReport(Message):
    execution_id: UUID
    key: str
    task_id: UUID
    attempt: int
    worker: str = ""


class TaskSucceeded(_TaskReport):
    type: Literal["task.succeeded.v1"] = "task.succeeded.v1"
    output: Json = None
    output_ref: PayloadReference | None = None
    started_at_ms: int | None = None
    usage: Json = None
    """Tokens, model, cost of the try, when the function reports it."""


class TaskFailed(_TaskReport):
    type: Literal["task.failed.v1"] = "task.failed.v1"
    error: dict[str, Json]
    """RFC 7807: type, status, title, detail."""

    retryable: bool = True
    retry_after_ms: int | None = None
    started_at_ms: int | None = None
    usage: Json = None


class TaskHeartbeat(_TaskReport):
    """Still at work. Puts off the moment at which the task would be published again."""

    type: Literal["task.heartbeat.v1"] = "task.heartbeat.v1"


class WorkerLost(_TaskReport):
    """The executor that had this try is gone; whoever took the entry over says so before running it again."""

    type: Literal["task.worker-lost.v1"] = "task.worker-lost.v1"


class TaskClaim(Request):
    """May I run this at-most-once task? Granted once, to one nonce, ever."""

    type: Literal["task.claim.v1"] = "task.claim.v1"
    execution_id: UUID
    key: str
    nonce: str
