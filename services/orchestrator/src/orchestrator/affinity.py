"""Which partitions this replica reads: soft affinity, without leases.

Every replica says it is alive in one sorted set; from the members each computes the same assignment by rendezvous
hashing. Two replicas that disagree for a moment both read a partition, which costs a lost compare-and-set now and
then and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from common.streams.connection import Link

MEMBERS_KEY = "kwe:members:orchestrator"
MEMBER_ALIVE_MS = 4_000
"""A replica that has not been heard of for this long loses its partitions to the others."""

_JOIN = b"""
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[1], ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - tonumber(ARGV[2]) * 10)
return redis.call('ZRANGEBYSCORE', KEYS[1], ms - tonumber(ARGV[2]), '+inf')
"""


def assign(member: str, members: Sequence[str], partitions: int) -> tuple[int, ...]:
    """The partitions of `member`: each goes to the member with the highest hash, evened out by rounds."""
    return _assign(member, tuple(members), partitions)


@lru_cache(maxsize=4)  # Asked every second; the members change when somebody comes or goes.
def _assign(member: str, members: tuple[str, ...], partitions: int) -> tuple[int, ...]:
    ordered = sorted(set(members) | {member})
    share = -(-partitions // len(ordered))
    counts = dict.fromkeys(ordered, 0)
    mine: list[int] = []
    for partition in range(partitions):
        ranked = sorted(ordered, key=lambda each: _weight(each, partition), reverse=True)
        owner = next(each for each in ranked if counts[each] < share)
        counts[owner] += 1
        if owner == member:
            mine.append(partition)
    return tuple(mine)


def _weight(member: str, partition: int) -> bytes:
    return blake2b(f"{member}/{partition}".encode(), digest_size=8).digest()


class Membership:
    def __init__(self, link: Link, instance: str) -> None:
        self._link = link
        self._instance = instance

    async def renew(self) -> list[str]:
        """Say that this replica is alive; who else is. Raises one of `REDIS_ERRORS`."""
        members = await self._link.call(
            b"EVAL", _JOIN, 1, MEMBERS_KEY, self._instance, MEMBER_ALIVE_MS
        )
        return [member.decode() for member in members]

    async def leave(self) -> None:
        await self._link.call(b"ZREM", MEMBERS_KEY, self._instance)
