"""What Redis tells the orchestrator besides messages: lengths of queues, the generation, its memory."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from redis.exceptions import ResponseError

from common.errors import ConfigurationError
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


async def trim_events(link: Link, organizations: Sequence[str], *, older_than_ms: int) -> None:
    """The feed is kept by age as well as by length; PostgreSQL has the truth."""
    if organizations:
        await link.pipeline(
            [
                (b"XTRIM", names.events(each), b"MINID", b"~", older_than_ms)
                for each in organizations
            ]
        )


async def refuse_evicting_redis(link: Link) -> None:
    """An eviction policy other than noeviction would drop streams, silently, when memory runs short."""
    try:
        reply = await link.call(b"CONFIG", b"GET", b"maxmemory-policy")
    except ResponseError:
        return  # Managed services forbid CONFIG; their documentation says what they do.
    policy = reply[1].decode() if reply else "noeviction"
    if policy != "noeviction":
        raise ConfigurationError(
            f"Redis has maxmemory-policy {policy}, which drops streams when memory runs short; set it to noeviction."
        )
