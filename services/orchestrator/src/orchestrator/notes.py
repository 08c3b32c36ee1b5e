"""Remarks about running tasks that change no execution: heartbeats, lost workers, at-most-once grants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from common.contracts.base import encode
from common.contracts.replies import Reply
from common.contracts.tasks import TaskClaim, TaskHeartbeat, WorkerLost
from common.streams.consumer import Entry
from common.streams.publisher import Outgoing
from orchestrator.deliveries import Delivery, ObligationBroken
from orchestrator.ports import Bus

log = structlog.get_logger()

WORKERS_LOST_MAX = 3
"""A task with which this many executors died is taken for their killer, and faults."""

RUNTIME_ERROR = "https://open-workflow-specification.org/spec/1.0.0/errors/runtime"

Note = TaskHeartbeat | WorkerLost | TaskClaim
NOTES = frozenset({TaskHeartbeat, WorkerLost, TaskClaim})


@dataclass(frozen=True, slots=True)
class LossCount:
    lost: int
    started_by: str | None


class TaskStore(Protocol):
    """May raise `StoreAway`."""

    async def heartbeats(self, tasks: Sequence[tuple[UUID, str]]) -> None: ...

    async def worker_lost(self, execution_id: UUID, key: str) -> LossCount | None: ...

    async def grant(self, execution_id: UUID, key: str, nonce: str) -> bool: ...


class Notes:
    def __init__(self, store: TaskStore, bus: Bus) -> None:
        self._store = store
        self._bus = bus

    async def handle(self, notes: Sequence[tuple[Note, Entry]]) -> list[Delivery]:
        """Record what was said, acknowledge it, and return what executions must be told."""
        beats = [
            (note.execution_id, note.key) for note, _ in notes if isinstance(note, TaskHeartbeat)
        ]
        if beats:
            await self._store.heartbeats(beats)
        told: list[Delivery] = []
        replies: list[Outgoing] = []
        for note, _ in notes:
            if isinstance(note, WorkerLost):
                told.extend(await self._worker_lost(note))
            elif isinstance(note, TaskClaim):
                replies.append(await self._claim(note))
        await self._bus.publish(replies, [], [entry for _, entry in notes])
        return told

    async def _worker_lost(self, note: WorkerLost) -> list[Delivery]:
        count = await self._store.worker_lost(note.execution_id, note.key)
        log.info(
            "worker_lost", task_id=str(note.task_id), worker=note.worker, lost=count and count.lost
        )
        if count is None:
            return []
        if count.started_by is not None:
            return [Delivery(unknown_outcome(note.execution_id, note.key))]
        if count.lost >= WORKERS_LOST_MAX:
            return [
                Delivery(
                    _broken(
                        note.execution_id,
                        note.key,
                        "The task ended its executor",
                        f"{count.lost} executors died while they ran this task. Look at their logs and memory limits.",
                    )
                )
            ]
        return []

    async def _claim(self, note: TaskClaim) -> Outgoing:
        granted = await self._store.grant(note.execution_id, note.key, note.nonce)
        reply = Reply(
            organization_id=note.organization_id,
            request_id=note.message_id,
            status=200 if granted else 409,
            code="" if granted else "not_granted",
            body={"granted": granted},
        )
        return Outgoing(note.reply_to, encode(reply))


def unknown_outcome(execution_id: UUID, key: str) -> ObligationBroken:
    """An at-most-once task whose executor went silent: it may have happened, and must not happen again."""
    return _broken(
        execution_id,
        key,
        "Unknown outcome",
        "The task may have run: its executor was lost after it had begun. It is not run again because it asks for at most once.",
    )


def _broken(execution_id: UUID, key: str, title: str, detail: str) -> ObligationBroken:
    error: dict[str, object] = {
        "type": RUNTIME_ERROR,
        "status": 500,
        "title": title,
        "detail": detail,
    }
    return ObligationBroken(execution_id, key, error)
