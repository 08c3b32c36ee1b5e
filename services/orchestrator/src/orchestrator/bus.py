"""Redis behind the orchestrator's `Bus` port, and its windows onto the task queues."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from common.serving.claims import CANCELLED
from common.streams import names
from common.streams.connection import Command
from common.streams.consumer import Entry
from common.streams.publisher import Outgoing, Publisher, acknowledge
from orchestrator.ports import CancelMark

_WORK: Final = ("kwe:tasks:", "kwe:results:", "kwe:commands:")


class RedisBus:
    """Publishes what a batch owes, then acknowledges what it handled, in one round trip."""

    def __init__(self, publisher: Publisher, *, cancel_mark_ms: int) -> None:
        self._publisher = publisher
        self._cancel_mark_ms = cancel_mark_ms
        self.last_ids: dict[str, str] = {}
        """The last id that this process was given for each stream of work."""

    async def publish(
        self, entries: Sequence[Outgoing], cancelled: Sequence[CancelMark], done: Sequence[Entry]
    ) -> None:
        if entries or cancelled or done:
            commands = [*self._cancel(cancelled), *_acknowledge(done)]
            ids = await self._publisher.publish(entries, commands)
            # Feeds and replies may expire; work may not.
            self.last_ids.update(
                (entry.stream, id)
                for entry, id in zip(entries, ids, strict=True)
                if entry.stream.startswith(_WORK)
            )

    def _cancel(self, marks: Sequence[CancelMark]) -> list[Command]:
        commands: list[Command] = []
        for mark in marks:
            key = names.claim(mark.queue, mark.task_id, mark.attempt)
            commands.append((b"SET", key, CANCELLED, b"PX", self._cancel_mark_ms))
            commands.append((b"PUBLISH", names.cancel_channel(mark.queue), key))
        return commands


def _acknowledge(done: Sequence[Entry]) -> list[Command]:
    by_stream: dict[str, list[bytes]] = defaultdict(list)
    for entry in done:
        by_stream[entry.stream].append(entry.id)
    return [
        command
        for stream, ids in by_stream.items()
        for command in acknowledge(stream, names.ORCHESTRATOR_GROUP, ids)
    ]
