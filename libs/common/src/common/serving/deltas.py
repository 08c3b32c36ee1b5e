"""Pieces of answers for those who watch right now: coalesced, published without a trace, never waited for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import orjson

from common.logs import get_logger
from common.serving.context import TaskContext
from common.streams import names
from common.streams.connection import REDIS_ERRORS, Command, Link

log = get_logger(__name__)

COALESCE_S: Final = 0.05
BUFFERED_CHARACTERS_MAX: Final = 64 * 1024


@dataclass(slots=True)
class _Buffer:
    context: TaskContext
    pieces: list[str] = field(default_factory=list)
    size: int = 0


class Deltas:
    """Collects text for 50 ms and publishes it in one command. While Redis is away or slow, text is lost."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffers: dict[tuple[str, int], _Buffer] = {}
        self._flush: asyncio.Task[None] | None = None

    def add(self, context: TaskContext, text: str) -> None:
        key = (str(context.task_id), context.attempt)
        buffer = self._buffers.setdefault(key, _Buffer(context))
        if buffer.size + len(text) > BUFFERED_CHARACTERS_MAX:
            return
        buffer.pieces.append(text)
        buffer.size += len(text)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        if self._flush is not None:
            self._flush.cancel()
        await self._link.close()

    async def _run(self) -> None:
        try:
            while True:
                await asyncio.sleep(COALESCE_S)
                if not self._buffers:
                    return
                buffers, self._buffers = self._buffers, {}
                await self._link.pipeline([_command(buffer) for buffer in buffers.values()])
        except REDIS_ERRORS as error:
            log.debug("deltas_lost", error=type(error).__name__)
        finally:
            self._flush = None


def _command(buffer: _Buffer) -> Command:
    delta = {
        "type": "task.delta",
        "task": buffer.context.name,
        "reference": buffer.context.reference,
        "try": buffer.context.attempt,
        "text": "".join(buffer.pieces),
    }
    return (b"PUBLISH", names.deltas(buffer.context.execution_id), orjson.dumps(delta))
