"""The bus in memory: for tests without Redis and for the simulation. Passes the same suite as the real one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from common.serving.claims import (
    CANCELLED,
    CLAIM_OUTLIVES_LEASE,
    Claim,
    Verdict,
    done,
    held,
    is_spent,
    judge,
    may_go_on,
)
from common.serving.ports import Delivery


@dataclass(slots=True)
class MemoryQueue:
    """The contents of one queue, shared by the consumers of a test. Time is whatever `now_ms` says."""

    now_ms: Callable[[], int]
    lease_ms: int = 30_000
    entries: dict[str, bytes] = field(default_factory=dict)
    pending: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Entry → its consumer and when that was last refreshed."""

    claims: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Claim key → value and when it expires."""

    published: dict[str, list[bytes]] = field(default_factory=dict)
    """Stream → what was published to it."""

    generation: str = ""
    _added: int = 0

    def add(self, raw: bytes) -> str:
        self._added += 1
        entry_id = f"{self._added}-0"
        self.entries[entry_id] = raw
        return entry_id

    def value(self, key: str) -> str | None:
        value, expires_at = self.claims.get(key, (None, 0))
        return value if expires_at > self.now_ms() else None

    def cancel(self, key: str) -> None:
        self.claims[key] = (CANCELLED, self.now_ms() + self.lease_ms)

    def wipe(self) -> None:
        """What FLUSHALL does. Ids go on, as those of Redis do."""
        self.entries.clear()
        self.pending.clear()
        self.claims.clear()

    def remove(self, entry_ids: Sequence[str]) -> None:
        for entry_id in entry_ids:
            self.entries.pop(entry_id, None)
            self.pending.pop(entry_id, None)


class MemoryBus:
    """One consumer of a `MemoryQueue`."""

    def __init__(self, queue: MemoryQueue, consumer: str) -> None:
        self._queue = queue
        self._consumer = consumer
        self._seen: set[str] = set()

    async def read(self, count: int) -> list[Delivery]:
        queue, now_ms = self._queue, self._queue.now_ms()
        own = [
            entry_id
            for entry_id, (owner, _) in queue.pending.items()
            if owner == self._consumer and entry_id not in self._seen
        ]
        stale = [
            entry_id
            for entry_id, (_, at_ms) in queue.pending.items()
            if now_ms - at_ms >= queue.lease_ms and entry_id not in own
        ]
        new = [entry_id for entry_id in queue.entries if entry_id not in queue.pending]
        taken = [one for one in (*own, *stale, *new) if one in queue.entries][:count]
        self._seen.update(taken)
        for entry_id in taken:
            queue.pending[entry_id] = (self._consumer, now_ms)
        return [Delivery(one, queue.entries[one], claimed=one in stale) for one in taken]

    async def claim(self, wanted: Sequence[Claim]) -> list[Verdict]:
        verdicts = []
        for claim in wanted:
            verdict = judge(self._queue.value(claim.key), claim, self._consumer)
            if verdict.runs:
                self._hold(claim)
            else:
                self._queue.remove([claim.entry_id])
            verdicts.append(verdict)
        return verdicts

    async def refresh(self, running: Sequence[Claim]) -> list[bool]:
        answers = []
        for claim in running:
            current = self._queue.value(claim.key)
            goes_on = may_go_on(current, claim, self._consumer)
            if goes_on:
                self._hold(claim)
                if claim.entry_id in self._queue.pending:
                    self._queue.pending[claim.entry_id] = (self._consumer, self._queue.now_ms())
            elif is_spent(current, claim):
                self._queue.remove([claim.entry_id])
            answers.append(goes_on)
        return answers

    async def publish(self, entries: Sequence[tuple[str, bytes]]) -> None:
        for stream, raw in entries:
            self._queue.published.setdefault(stream, []).append(raw)

    async def settle(self, finished: Sequence[Claim]) -> None:
        expires_at = self._queue.now_ms() + self._queue.lease_ms
        for claim in finished:
            self._queue.claims[claim.key] = (done(claim.generation), expires_at)
            self._queue.remove([claim.entry_id])

    async def drop(self, entry_ids: Sequence[str]) -> None:
        self._queue.remove(entry_ids)

    async def generation(self) -> str:
        return self._queue.generation

    async def leave(self, unfinished: Sequence[Claim]) -> None:
        queue = self._queue
        for claim in unfinished:
            if queue.value(claim.key) == held(claim.entry_id, self._consumer):
                del queue.claims[claim.key]
        mine = [one for one, (owner, _) in queue.pending.items() if owner == self._consumer]
        for entry_id in mine:
            raw = queue.entries.get(entry_id)
            queue.remove([entry_id])
            if raw is not None:
                queue.add(raw)

    def _hold(self, claim: Claim) -> None:
        ttl_ms = self._queue.lease_ms * CLAIM_OUTLIVES_LEASE
        expires_at = self._queue.now_ms() + ttl_ms
        self._queue.claims[claim.key] = (held(claim.entry_id, self._consumer), expires_at)
