"""Writing to streams: everything that one turn of the event loop publishes goes out in one write.

Never retried here: whoever publishes knows what it owes and what may be doubled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from common.streams.connection import Command, Link
from common.streams.names import FIELD, REPLIES

REPLIES_TTL_MS: Final = 60_000
"""How long answers wait for a reader that has not been heard of since."""


class Outgoing(NamedTuple):
    """One entry to publish. A tuple, because thousands are made a second."""

    stream: str
    raw: bytes
    maxlen: int = 0
    """Trim the stream to about this many entries; 0 never trims."""


class Publisher:
    """Publishes entries and runs acknowledgements, coalescing what is asked for in one turn of the loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._queue: list[
            tuple[Sequence[Outgoing], Sequence[Command], asyncio.Future[list[str]]]
        ] = []
        self._flush: asyncio.Task[None] | None = None

    async def publish(
        self, entries: Sequence[Outgoing], commands: Sequence[Command] = ()
    ) -> list[str]:
        """Add the entries, then run `commands` (acknowledgements); return the entries' ids.

        Raises what the connection raises; entries may then be there or not.
        """
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._queue.append((entries, commands, future))
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._queue:
            queue, self._queue = self._queue, []
            try:
                await self._send(queue)
            except BaseException as error:
                for _, _, future in queue:
                    if not future.done():
                        future.set_exception(_copy(error))
                if not isinstance(error, Exception):
                    self._flush = None
                    raise
        self._flush = None

    async def _send(
        self,
        queue: Sequence[tuple[Sequence[Outgoing], Sequence[Command], asyncio.Future[list[str]]]],
    ) -> None:
        entries = [entry for group, _, _ in queue for entry in group]
        commands = [command for _, group, _ in queue for command in group]
        replies = await self._link.pipeline([*map(_add, entries), *_let_expire(entries), *commands])
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        _resolve(queue, [entry_id.decode() for entry_id in replies[: len(entries)]])


def _add(entry: Outgoing) -> Command:
    # Plain commands, not one script: Lua copies and hashes every body that passes through it, which cost Redis more
    # than all the commands inside.
    if entry.maxlen:
        return (b"XADD", entry.stream, b"MAXLEN", b"~", entry.maxlen, b"*", FIELD, entry.raw)
    return (b"XADD", entry.stream, b"*", FIELD, entry.raw)


def _let_expire(entries: Sequence[Outgoing]) -> list[Command]:
    """Whoever reads a reply stream keeps it alive; answers to a process that is gone would make one that stays."""
    streams = {entry.stream for entry in entries if entry.stream.startswith(REPLIES)}
    return [(b"PEXPIRE", stream, REPLIES_TTL_MS, b"NX") for stream in streams]


def _resolve(
    queue: Sequence[tuple[Sequence[Outgoing], Sequence[Command], asyncio.Future[list[str]]]],
    ids: list[str],
) -> None:
    position = 0
    for group, _, future in queue:
        if not future.done():
            future.set_result(ids[position : position + len(group)])
        position += len(group)


def acknowledge(stream: str, group: str, ids: Sequence[bytes | str]) -> tuple[Command, Command]:
    """Acknowledge and delete: XACK always goes with XDEL, so that XLEN is the number outstanding."""
    return (b"XACK", stream, group, *ids), (b"XDEL", stream, *ids)


def _copy(error: BaseException) -> BaseException:
    # Each waiter gets an exception of its own: a shared one would grow a traceback per waiter.
    arguments: tuple[Any, ...] = error.args
    try:
        return type(error)(*arguments)
    except TypeError:
        return ConnectionError(str(error))
