"""What Redis tells the orchestrator besides messages: lengths of queues, the generation, its memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from uuid import uuid4

from redis.exceptions import ResponseError

from common.streams import names
from common.streams.connection import Link

DATABASE_OK_MS = 2_500
"""How long gateways believe that PostgreSQL is reachable; renewed every second."""


class RedisQueues:
    """`orchestrator.sweeps.QueueView`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def lengths(self, queues: Sequence[str]) -> dict[str, int]:
        replies = await self._link.pipeline([(b"XLEN", names.tasks(queue)) for queue in queues])
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return dict(zip(queues, replies, strict=True))

    async def oldest_ms(self, queue: str) -> int | None:
        entries = await self._link.call(b"XRANGE", names.tasks(queue), b"-", b"+", b"COUNT", 1)
        return int(entries[0][0].split(b"-")[0]) if entries else None


async def waiting_seconds(link: Link, streams: Sequence[str]) -> dict[str, float]:
    """How long the oldest entry of each stream that nobody has read yet has been there."""
    if not streams:
        return {}
    groups = await link.pipeline([(b"XINFO", b"GROUPS", stream) for stream in streams])
    read_up_to = {
        # Without a group nobody ever read it.
        stream: min((_last_delivered(each) for each in reply), default=(0, 0))
        for stream, reply in zip(streams, groups, strict=True)
        if not isinstance(reply, ResponseError)
    }
    replies = await link.pipeline(
        [
            (b"XRANGE", stream, b"(%d-%d" % last, b"+", b"COUNT", 1)
            for stream, last in read_up_to.items()
        ]
    )
    now_s = time.time()
    return {
        stream: max(now_s - int(entries[0][0].split(b"-")[0]) / 1000, 0.0)
        for stream, entries in zip(read_up_to, replies, strict=True)
        if entries and not isinstance(entries, ResponseError)
    }


def _last_delivered(group: Sequence[bytes]) -> tuple[int, int]:
    """From what `XINFO GROUPS` says of one group: names and values in turn."""
    fields = dict(zip(group[::2], group[1::2], strict=True))
    milliseconds, _, number = fields[b"last-delivered-id"].partition(b"-")
    return int(milliseconds), int(number)


class RedisGeneration:
    """`orchestrator.recovery.GenerationKey`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def current(self) -> str:
        found = await self._link.call(b"GET", names.GENERATION_KEY)
        if found is None:
            # Several replicas may notice at once: the first one's value stands.
            await self._link.call(b"SET", names.GENERATION_KEY, uuid4().hex, b"NX")
            found = await self._link.call(b"GET", names.GENERATION_KEY)
        return str(found.decode())

    async def renew(self) -> str:
        fresh = uuid4().hex
        await self._link.call(b"SET", names.GENERATION_KEY, fresh)
        return fresh


async def say_database_is_reachable(link: Link) -> None:
    await link.call(b"SET", names.DATABASE_DOWN_KEY, b"ok", b"PX", DATABASE_OK_MS)


async def lost_streams(link: Link, last_ids: Mapping[str, str]) -> list[str]:
    """Streams whose last id is below one that this process was given, or that are gone: their newest entries are lost."""
    streams = list(last_ids)
    replies = await link.pipeline([(b"XINFO", b"STREAM", stream) for stream in streams])
    lost = []
    for stream, reply in zip(streams, replies, strict=True):
        if isinstance(reply, ResponseError) or _id_key(_last_id(reply)) < _id_key(last_ids[stream]):
            lost.append(stream)
    return lost


def _last_id(reply: Sequence[bytes]) -> str:
    fields = dict(zip(reply[::2], reply[1::2], strict=True))
    return fields[b"last-generated-id"].decode()


def _id_key(entry_id: str) -> tuple[int, int]:
    milliseconds, _, counter = entry_id.partition("-")
    return int(milliseconds), int(counter)
