"""Setting aside an execution that cannot be advanced: its messages are kept, and it faults with the reason.

One that merely waited would be stuck without anybody knowing; this one is finished, and says why.
"""

from __future__ import annotations

from uuid import UUID

import orjson
import structlog

from common import metrics
from common.contracts.base import Message, Request
from orchestrator.answers import refuse
from orchestrator.assemble import Installation
from orchestrator.deliveries import Group
from orchestrator.live import LiveExecutions
from orchestrator.notes import RUNTIME_ERROR
from orchestrator.ports import Bus, Clock, DeadLetter, Store
from orchestrator.publications import Owed, events_entries

log = structlog.get_logger()


class Condemning:
    def __init__(
        self,
        *,
        store: Store,
        live: LiveExecutions,
        bus: Bus,
        clock: Clock,
        installation: Installation,
    ) -> None:
        self._store = store
        self._live = live
        self._bus = bus
        self._clock = clock
        self._installation = installation

    async def set_aside(self, group: Group) -> None:
        """Keep the messages as dead letters, fault the execution, answer whoever asked. Raises `StoreAway`."""
        log.error("execution_set_aside", execution_id=str(group.execution_id))
        metrics.DEAD_LETTERS.labels(reason="not_advanced").inc()
        self._live.forget([group.execution_id])
        letters = _letters(group)
        error = {
            "type": RUNTIME_ERROR,
            "status": 500,
            "title": "The engine could not advance this execution",
            "detail": _detail(kept=bool(letters)),
        }
        event = {"type": "workflow.faulted", "at": self._clock.now_ms(), "error": error}
        sequence = await self._store.condemn(
            group.execution_id,
            _organization(group),
            orjson.dumps([event]),
            orjson.dumps(error),
            letters,
        )
        owed = Owed()
        if sequence is not None and group.live is not None:
            # The commit owes it as well, in case this does not get through.
            owed.direct += events_entries(
                group.live.facts, sequence, [event], maxlen=self._installation.events_maxlen
            )
        await self._answer(group, owed)

    async def _answer(self, group: Group, owed: Owed) -> None:
        for delivery in group.deliveries:
            if isinstance(delivery.message, Request):
                reply = refuse(
                    delivery.message,
                    422,
                    "cannot_be_stored",
                    "PostgreSQL does not take this request's data, or the engine cannot process it.",
                )
                owed.add_reply(delivery.message.reply_to, reply)
        await self._bus.publish(owed.direct, [], group.entries)


def _letters(group: Group) -> list[DeadLetter]:
    return [
        DeadLetter(
            entry.stream, entry.raw, "The execution could not be advanced with this message."
        )
        for entry in group.entries
    ]


def _detail(*, kept: bool) -> str:
    where = "An operator finds the cause in the orchestrator's log."
    return f"Its messages are kept as dead letters. {where}" if kept else where


def _organization(group: Group) -> UUID | None:
    """Whose letters they are; the messages say so when the execution could not be loaded."""
    if group.live is not None:
        return group.live.facts.organization_id
    for delivery in group.deliveries:
        if isinstance(delivery.message, Message):
            return delivery.message.organization_id
    return None
