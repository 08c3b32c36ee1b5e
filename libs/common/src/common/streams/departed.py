"""Consumers that left without a word: every process has a name of its own, so groups would remember more and more of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis.exceptions import ResponseError

from common.streams.connection import Link

FORGET_AFTER_MS: Final = 60 * 60 * 1000
"""Long beyond any pause of a process that lives: a consumer that is alive reads every few seconds."""

# One script per stream: between looking and removing, nobody may be given an entry. What a consumer has pending stays.
_FORGET: Final = b"""
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
if consumers.err then return 0 end
local removed = 0
for _, fields in ipairs(consumers) do
  local consumer = {}
  for i = 1, #fields, 2 do consumer[fields[i]] = fields[i + 1] end
  if consumer['pending'] == 0 and consumer['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
    removed = removed + 1
  end
end
return removed
"""


async def forget_departed(
    link: Link, streams: Sequence[str], group: str, *, idle_ms: int = FORGET_AFTER_MS
) -> int:
    """Remove consumers that have nothing pending and were not heard of for long; how many. Raises one of `REDIS_ERRORS`."""
    replies = await link.pipeline(
        [(b"EVAL", _FORGET, 1, stream, group, idle_ms) for stream in streams]
    )
    return sum(reply for reply in replies if not isinstance(reply, ResponseError))
