"""The events of one execution as a stream: from a sequence on, gap-free, until its terminal event.

The history is the truth. The organisation's feed only says when to look again, and a look from time to time covers what
it may have missed. Deltas are woven in as they come; they have no id, because they are not kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson

from common.errors import EngineError, Unavailable
from gateway.reads.database import Server
from gateway.reads.history import Subject, Turn, read_turns
from gateway.sse.deltas import Listener
from gateway.sse.feed import Watch
from gateway.sse.frames import HEARTBEAT, HEARTBEAT_SECONDS, EventStream, first_of, frame
from workflow.core.history import to_cloud_event

TURNS_PER_READ: Final = 100
TERMINAL: Final = frozenset({"workflow.completed", "workflow.faulted", "workflow.cancelled"})
DELTA: Final = "task.delta"


@dataclass(slots=True, kw_only=True)
class ExecutionStream:
    stream: EventStream
    server: Server
    organization_id: UUID
    execution_id: UUID
    subject: Subject
    after: int
    """The last sequence that the client has."""

    _ended: bool = False

    async def run(self, watch: Watch, listener: Listener, closing: asyncio.Event) -> None:
        """Returns when the execution has ended, or the process drains."""
        while not closing.is_set():
            watch.woken.clear()
            await self._write_deltas(listener)
            await self._write_history()
            if self._ended:
                return
            if not await first_of(watch.woken, closing, timeout_s=HEARTBEAT_SECONDS):
                await self.stream.write(HEARTBEAT)

    async def _write_history(self) -> None:
        while not self._ended:
            try:
                turns, more = await self._read()
            except Unavailable:
                return  # the heartbeat goes on; the next look may succeed
            except EngineError as error:
                await self.stream.write(frame(orjson.dumps(error.as_problem()), event="error"))
                self._ended = True
                return
            await self.stream.write(b"".join(self._frames(turns)))
            if not more:
                return

    async def _read(self) -> tuple[list[Turn], bool]:
        async with self.server.transaction(self.organization_id) as connection:
            return await read_turns(
                connection,
                self.organization_id,
                self.execution_id,
                after=self.after,
                limit=TURNS_PER_READ,
            )

    def _frames(self, turns: Iterable[Turn]) -> Iterable[bytes]:
        for turn in turns:
            for sequence, event in turn.events_after(self.after):
                yield self._frame(sequence, event)
                self.after = sequence
                self._ended = self._ended or event["type"] in TERMINAL

    def _frame(self, sequence: int, event: dict[str, Any]) -> bytes:
        public = to_cloud_event(event, self.subject.facts, sequence)
        return frame(orjson.dumps(public), event=public["type"], id=str(sequence))

    async def _write_deltas(self, listener: Listener) -> None:
        deltas = listener.take()
        if deltas:
            await self.stream.write(
                b"".join(frame(delta, event=DELTA) for delta in deltas if b"\n" not in delta)
            )
