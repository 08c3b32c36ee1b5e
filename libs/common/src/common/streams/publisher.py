"""Writing to streams: everything that one turn of the event loop publishes goes out in one command.

Never retried here: whoever publishes knows what it owes and what may be doubled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any, Final

from redis.exceptions import NoScriptError, ResponseError

from common.streams.connection import Argument, Command, Link

# One script call for a whole batch: one reply to parse instead of hundreds. `maxlen` 0 means untrimmed: only the
# events feed may be trimmed, every other stream holds work. Ids come back so that a later read of a smaller last
# id tells that the stream was lost. Whoever reads a reply stream keeps it alive; answers to a process that is gone
# would make a new one that nobody ever removes.
_PUBLISH: Final = b"""
local ids = {}
for i = 1, #KEYS do
  local maxlen = tonumber(ARGV[2 * i])
  if maxlen > 0 then
    ids[i] = redis.call('XADD', KEYS[i], 'MAXLEN', '~', maxlen, '*', 'm', ARGV[2 * i - 1])
  else
    ids[i] = redis.call('XADD', KEYS[i], '*', 'm', ARGV[2 * i - 1])
    if string.sub(KEYS[i], 1, 12) == 'kwe:replies:' then
      redis.call('PEXPIRE', KEYS[i], 60000, 'NX')
    end
  end
end
return ids
"""
_PUBLISH_SHA: Final = sha1(_PUBLISH, usedforsecurity=False).hexdigest()

SCRIPT_ENTRIES_MAX: Final = 1000
"""A script blocks Redis while it runs; a thousand entries are a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One entry to publish."""

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
        chunks = [
            entries[i : i + SCRIPT_ENTRIES_MAX] for i in range(0, len(entries), SCRIPT_ENTRIES_MAX)
        ]
        scripts = [_publish_command(chunk) for chunk in chunks]
        replies = await self._link.pipeline([*scripts, *commands])
        if any(isinstance(reply, NoScriptError) for reply in replies[: len(scripts)]):
            await self._link.call(b"SCRIPT", b"LOAD", _PUBLISH)
            replies[: len(scripts)] = await self._link.pipeline(scripts)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        ids = [entry_id.decode() for chunk in replies[: len(scripts)] for entry_id in chunk]
        _resolve(queue, ids)


def _publish_command(entries: Sequence[Outgoing]) -> Command:
    arguments: list[Argument] = [b"EVALSHA", _PUBLISH_SHA, len(entries)]
    arguments.extend([entry.stream for entry in entries])
    for entry in entries:
        arguments.append(entry.raw)
        arguments.append(entry.maxlen)
    return tuple(arguments)


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
