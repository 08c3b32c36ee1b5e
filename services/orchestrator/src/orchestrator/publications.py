"""What a committed batch owes the streams: the entries themselves, and the note from which they can be made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson

from common.contracts.base import Message, encode
from common.contracts.replies import Reply
from common.ids import uuid7
from common.streams import names
from common.streams.consumer import Entry
from common.streams.publisher import Outgoing
from orchestrator.ports import CancelMark, Facts
from workflow.core.history import ExecutionFacts, to_cloud_event

EVENTS_PER_ENTRY = 100
"""Readers take entries by their number, so none may be very large; a turn of a loop may have more than a thousand events."""


@dataclass(slots=True)
class Owed:
    """The streams' share of a batch.

    Tasks and events are named, not copied, in the note: both are in PostgreSQL anyway. Replies and notices are small
    and carried whole.
    """

    outgoing: list[Outgoing] = field(default_factory=list)
    events: list[tuple[UUID, int, int]] = field(default_factory=list)
    tasks: list[tuple[UUID, str]] = field(default_factory=list)
    direct: list[Outgoing] = field(default_factory=list)
    """Replies and notices."""

    cancelled: list[CancelMark] = field(default_factory=list)
    done: list[Entry] = field(default_factory=list)
    """Entries that are handled once the batch is committed."""

    def extend(self, other: Owed) -> None:
        self.outgoing += other.outgoing
        self.events += other.events
        self.tasks += other.tasks
        self.direct += other.direct
        self.cancelled += other.cancelled
        self.done += other.done

    @property
    def is_noted(self) -> bool:
        """Whether anything here must survive a crash between commit and publishing."""
        return bool(self.events or self.tasks or self.direct or self.cancelled)

    def note(self) -> bytes:
        return orjson.dumps(
            {
                "events": self.events,
                "tasks": self.tasks,
                "direct": [(out.stream, out.raw.decode()) for out in self.direct],
                "cancelled": [(mark.queue, mark.task_id, mark.attempt) for mark in self.cancelled],
            }
        )

    def add_reply(self, stream: str, reply: Reply) -> None:
        if stream:
            self.direct.append(Outgoing(stream, encode(reply)))

    def add_notice(self, stream: str, message: Message) -> None:
        self.direct.append(Outgoing(stream, encode(message)))


@dataclass(frozen=True, slots=True)
class Note:
    """A publications row, read back."""

    id: UUID
    events: tuple[tuple[UUID, int, int], ...]
    tasks: tuple[tuple[UUID, str], ...]
    direct: tuple[Outgoing, ...]
    cancelled: tuple[CancelMark, ...]


def read_note(id: UUID, body: bytes) -> Note:
    content: dict[str, Any] = orjson.loads(body)
    return Note(
        id,
        tuple((UUID(each), first, last) for each, first, last in content["events"]),
        tuple((UUID(each), key) for each, key in content["tasks"]),
        tuple(Outgoing(stream, raw.encode()) for stream, raw in content["direct"]),
        tuple(CancelMark(*mark) for mark in content["cancelled"]),
    )


@lru_cache(maxsize=8192)
def execution_facts(facts: Facts) -> ExecutionFacts:
    namespace, _, name = facts.workflow_id.partition("/")
    return ExecutionFacts(
        execution_id=str(facts.execution_id),
        organization_id=str(facts.organization_id),
        namespace=namespace,
        name=name,
        version=facts.semver,
        traceparent=facts.traceparent,
    )


def events_entries(
    facts: Facts, sequence_from: int, events: Sequence[dict[str, Any]], *, maxlen: int
) -> list[Outgoing]:
    """The public events of one turn for the organisation's feed: one entry, or several of a bounded size."""
    about, feed = execution_facts(facts), names.events(facts.organization_id)
    public = [
        to_cloud_event(event, about, sequence)
        for sequence, event in enumerate(events, start=sequence_from)
    ]
    return [
        Outgoing(feed, orjson.dumps(public[start : start + EVENTS_PER_ENTRY]), maxlen)
        for start in range(0, len(public), EVENTS_PER_ENTRY)
    ]


def new_publication_id() -> UUID:
    return uuid7()
