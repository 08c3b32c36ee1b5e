"""The generic cell rate algorithm: a sliding limit from one number per caller, without counters or windows.

A caller who is on pace has a theoretical arrival time in the past. Each request moves it one interval ahead; it may
run ahead of the clock by the burst, here the whole window, so that `limit` requests at once are fine, and after them
one more whenever an interval has passed. `gcra.lua` is the same in Redis; a test holds the two together.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from math import ceil

MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Policy:
    limit: int
    """Requests per window, which is also the largest burst. 0: no limit."""

    window_us: int

    @classmethod
    def of(cls, limit: int, window: timedelta) -> Policy:
        return cls(limit, window // timedelta(microseconds=1))

    @property
    def interval_us(self) -> int:
        return max(1, self.window_us // max(1, self.limit))


@dataclass(frozen=True, slots=True)
class Verdict:
    allowed: bool
    remaining: int
    reset_us: int
    """Until the whole limit is there again."""

    retry_us: int
    """Until the next request is allowed; 0 if this one was."""

    @property
    def retry_seconds(self) -> int:
        return max(1, ceil(self.retry_us / MICROSECONDS))

    @property
    def reset_seconds(self) -> int:
        return ceil(self.reset_us / MICROSECONDS)


def decide(arrival_us: int | None, now_us: int, policy: Policy) -> tuple[Verdict, int]:
    """The verdict and the arrival time to keep; `arrival_us` is what was kept before, None for a new caller."""
    interval, burst = policy.interval_us, policy.interval_us * policy.limit
    arrival = max(arrival_us if arrival_us is not None else now_us, now_us)
    following = arrival + interval
    excess = following - now_us - burst
    if excess > 0:
        return Verdict(False, 0, arrival - now_us, excess), arrival
    return Verdict(True, -excess // interval, following - now_us, 0), following


class LocalFloor:
    """The same limit in this process, while Redis is away. Each replica counts by itself, so it is generous."""

    KEYS_MAX = 10_000

    def __init__(self) -> None:
        self._arrivals: OrderedDict[str, int] = OrderedDict()

    def take(self, key: str, now_us: int, policy: Policy) -> Verdict:
        verdict, arrival = decide(self._arrivals.get(key), now_us, policy)
        self._arrivals[key] = arrival
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > self.KEYS_MAX:
            self._arrivals.popitem(last=False)  # the caller who has been quiet the longest
        return verdict
