"""A world to run the protocol in: seeded scheduling, virtual time, and faults at every await.

The code under test is the product's own: `orchestrator.advance`, `sweeps`, `recovery`, `notes`, `common.serving.steps`
and the pure core. Only PostgreSQL, Redis and the clock are replaced, by models that can fail in the ways the real
ones do. An actor is a coroutine; each `await point()` hands control back to the scheduler, which may go on with
another actor, kill this one, or break something.
"""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any

TICK_MS = 50


@types.coroutine
def point() -> Generator[None, None, None]:
    """A scheduling point, and a crash point."""
    yield


@dataclass(slots=True)
class Stream:
    """A stream with one consumer group."""

    ids: Callable[[], int]
    entries: dict[int, bytes] = field(default_factory=dict)
    pending: dict[int, tuple[str, int]] = field(default_factory=dict)

    def add(self, raw: bytes) -> int:
        entry_id = self.ids()
        self.entries[entry_id] = raw
        return entry_id

    def read(
        self, consumer: str, now_ms: int, count: int, *, idle_ms: int, seen: set[int]
    ) -> list[tuple[int, bytes, bool]]:
        """One's own pending entries that this incarnation has not seen, abandoned ones, then new ones."""
        own = [i for i, (who, _) in self.pending.items() if who == consumer and i not in seen]
        stale = [
            i
            for i, (who, at) in self.pending.items()
            if now_ms - at > idle_ms and (who != consumer or i in seen)
        ]
        new = [i for i in self.entries if i not in self.pending]
        taken = [i for i in (*own, *stale, *new) if i in self.entries][:count]
        for i in taken:
            self.pending[i] = (consumer, now_ms)
            seen.add(i)
        return [(i, self.entries[i], i in stale) for i in taken]

    def remove(self, entry_id: int) -> None:
        self.entries.pop(entry_id, None)
        self.pending.pop(entry_id, None)


class Redis:
    """Streams and claims, which may be wiped, lose their newest entries, or lose or double a publish."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last = 0
        self.streams: dict[str, Stream] = {}
        self.claims: dict[str, tuple[str, int]] = {}
        self.generation: str | None = None
        self.lost = False
        """Set by a fault; seen by whoever notices that a stream lost its past."""

    def stream(self, name: str) -> Stream:
        if name not in self.streams:
            self.streams[name] = Stream(self._next)
        return self.streams[name]

    def publish(self, name: str, raw: bytes) -> None:
        """Raises when the connection was cut before the entry arrived; may add it twice."""
        if self._world.faulty and self._world.random.random() < 0.02:
            raise ConnectionResetError("cut before it arrived")
        self.stream(name).add(raw)
        if self._world.faulty and self._world.random.random() < self._world.double_chance:
            self.stream(name).add(raw)

    def wipe(self) -> None:
        self.streams.clear()
        self.claims.clear()
        self.generation = None

    def lose_tail(self) -> None:
        for stream in self.streams.values():
            for entry_id in list(stream.entries)[-self._world.random.randint(1, 3) :]:
                stream.remove(entry_id)
        self.lost = True

    def claim_value(self, key: str) -> str | None:
        value, expires_at = self.claims.get(key, (None, 0))
        return value if expires_at > self._world.now_ms else None

    def _next(self) -> int:
        self._last += 1
        return self._last


@dataclass
class Mutation:
    """What is switched off, to see that the invariants notice."""

    compare_and_set: bool = True
    publications: bool = True
    publish_again: bool = True
    claims: bool = True
    look_again: bool = True
    """For listeners and events that a crash kept apart."""


class World:
    def __init__(
        self, seed: int, *, redis_faults: bool = True, mutation: Mutation | None = None
    ) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        self.now_ms = 1_800_000_000_000
        self.redis_faults = redis_faults
        self.mutation = mutation or Mutation()
        self.faulty = True
        self.kill_chance = 0.006
        self.double_chance = 0.03
        self.redis = Redis(self)
        self.actors: dict[str, Coroutine[Any, Any, None]] = {}
        self.makers: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self.paused: dict[str, int] = {}
        self.mortal: set[str] = set()

    def actor(
        self, name: str, make: Callable[[], Coroutine[Any, Any, None]], *, mortal: bool = True
    ) -> None:
        self.makers[name] = make
        self.actors[name] = make()
        if mortal:
            self.mortal.add(name)

    def run(
        self, *, faults_until: int, limit: int, done: Callable[[], bool], check: Callable[[], None]
    ) -> int:
        """Let actors take turns until `done`; returns the number of steps. Faults stop after `faults_until`."""
        for step in range(limit):
            self.now_ms += TICK_MS
            self.faulty = step < faults_until
            name = self.random.choice(list(self.actors))
            if self.paused.get(name, 0) > self.now_ms:
                continue
            if self.faulty and self._strike(name):
                continue
            try:
                self.actors[name].send(None)
            except StopIteration:
                del self.actors[name]
            if step % 7 == 0:
                check()
            if not self.faulty and step % 20 == 0 and done():
                return step
        return limit

    def close(self) -> None:
        for actor in self.actors.values():
            actor.close()

    def _strike(self, name: str) -> bool:
        """Perhaps break something; whether the actor's turn is gone."""
        chance = self.random.random()
        if chance < self.kill_chance and name in self.mortal:
            # kill -9: whatever it was about to do never happens.
            self.actors[name].close()
            self.actors[name] = self.makers[name]()
            return True
        if chance < 0.010 and name in self.mortal:
            self.paused[name] = self.now_ms + self.random.randint(1_000, 60_000)
            return True
        if self.redis_faults and chance < 0.011:
            self.redis.wipe()
        elif self.redis_faults and chance < 0.012:
            self.redis.lose_tail()
        return False
