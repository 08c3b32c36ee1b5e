"""The bus on Redis or Valkey: one queue, its claims, and the streams that answers go to.

Every change of claims and entries is one script, so no crash leaves half of it. Calls wait for Redis to come back
instead of raising: what they carry (a result, most of all) must not be lost because Redis is away.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib import resources
from typing import Any, Final, TypeVar

from redis.exceptions import NoScriptError

from common.logs import get_logger
from common.metrics import STREAM_ACKS_MISSED, STREAM_ERRORS
from common.serving.claims import CLAIM_OUTLIVES_LEASE, Claim, Verdict
from common.serving.ports import Delivery
from common.streams import names
from common.streams.connection import REDIS_ERRORS, Argument, Link
from common.streams.consumer import GroupReader
from common.streams.departed import forget_departed
from common.streams.publisher import Outgoing, Publisher

log = get_logger(__name__)

T = TypeVar("T")

BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Script:
    text: bytes
    sha: str

    async def run(self, link: Link, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        tail: tuple[Argument, ...] = (len(keys), *keys, *arguments)
        try:
            return await link.call(b"EVALSHA", self.sha, *tail)
        except NoScriptError:
            return await link.call(b"EVAL", self.text, *tail)


@cache
def script(name: str) -> Script:
    text = (resources.files("common.serving") / "lua" / f"{name}.lua").read_bytes()
    return Script(text, sha1(text, usedforsecurity=False).hexdigest())


class RedisBus:
    """One queue as one consumer sees it."""

    def __init__(
        self, queue: str, *, consumer: str, redis_url: str, publisher: Publisher, lease_ms: int
    ) -> None:
        self._stream = names.tasks(queue)
        self._consumer = consumer
        self._lease_ms = lease_ms
        self._publisher = publisher
        # A blocked read and the scripts must not wait for one another.
        self._blocking = Link(redis_url, timeout_s=10, name=f"kwe-tasks-{queue}")
        self._control = Link(redis_url, name=f"kwe-claims-{queue}")
        self._reader = GroupReader(
            self._blocking,
            [self._stream],
            group=names.EXECUTOR_GROUP,
            consumer=consumer,
            claim_idle_ms=lease_ms,
        )

    async def read(self, count: int) -> list[Delivery]:
        entries = await self._reader.read(count)
        return [Delivery(one.id.decode(), one.raw, one.claimed) for one in entries if one.raw]

    async def claim(self, wanted: Sequence[Claim]) -> list[Verdict]:
        arguments: list[Argument] = [names.EXECUTOR_GROUP, self._consumer, self._claim_ttl_ms]
        for claim in wanted:
            arguments += (claim.entry_id, claim.generation, int(claim.is_stale))
        answers = await self._run("claim", wanted, arguments)
        return [Verdict(answer) for answer in answers]

    async def refresh(self, running: Sequence[Claim]) -> list[bool]:
        arguments: list[Argument] = [names.EXECUTOR_GROUP, self._consumer, self._claim_ttl_ms]
        arguments += [claim.entry_id for claim in running]
        answers = await self._run("refresh", running, arguments)
        return [answer == 1 for answer in answers]

    async def publish(self, entries: Sequence[tuple[str, bytes]]) -> None:
        outgoing = [Outgoing(stream, raw) for stream, raw in entries]
        await self._persistently("publish", lambda: self._publisher.publish(outgoing))

    async def settle(self, finished: Sequence[Claim]) -> None:
        arguments: list[Argument] = [names.EXECUTOR_GROUP, self._lease_ms]
        for claim in finished:
            arguments += (claim.entry_id, claim.generation)
        pending = await self._run("settle", finished, arguments)
        if pending < len(finished):
            STREAM_ACKS_MISSED.labels(stream=self._stream).inc(len(finished) - pending)
            log.info(
                "entries_gone_before_settling", queue=self._stream, gone=len(finished) - pending
            )

    async def drop(self, entry_ids: Sequence[str]) -> None:
        await self._run("drop", (), [names.EXECUTOR_GROUP, *entry_ids])

    async def generation(self) -> str:
        raw = await self._persistently(
            "generation", lambda: self._control.call(b"GET", names.GENERATION_KEY)
        )
        return raw.decode() if raw else ""

    async def leave(self, unfinished: Sequence[Claim]) -> None:
        """Hand back everything that is not finished, at once readable by others, and leave the group."""
        arguments: list[Argument] = [names.EXECUTOR_GROUP, self._consumer]
        arguments += [claim.entry_id for claim in unfinished]
        keys = [self._stream, *(claim.key for claim in unfinished)]
        try:
            handed_back = await script("hand_back").run(self._control, keys, arguments)
        except REDIS_ERRORS as error:
            # Then they are abandoned, and taken over after the lease.
            log.warning("tasks_not_handed_back", stream=self._stream, error=type(error).__name__)
        else:
            log.info("queue_left", stream=self._stream, handed_back=handed_back)

    async def forget_dead_consumers(self) -> None:
        """Remove consumers of processes that are long gone and have nothing pending. Housekeeping: may fail."""
        try:
            await forget_departed(self._control, [self._stream], names.EXECUTOR_GROUP)
        except REDIS_ERRORS as error:
            log.info("consumers_not_forgotten", stream=self._stream, error=type(error).__name__)

    async def close(self) -> None:
        await self._blocking.close()
        await self._control.close()

    @property
    def _claim_ttl_ms(self) -> int:
        return self._lease_ms * CLAIM_OUTLIVES_LEASE

    async def _run(self, name: str, claims: Sequence[Claim], arguments: list[Argument]) -> Any:
        keys = [self._stream, *[claim.key for claim in claims]]
        return await self._persistently(
            name, lambda: script(name).run(self._control, keys, arguments)
        )

    async def _persistently(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        backoff_s = BACKOFF_FIRST_S
        while True:
            try:
                return await attempt()
            except REDIS_ERRORS as error:
                log.warning(
                    "redis_call_failed", call=what, error=str(error) or type(error).__name__
                )
                STREAM_ERRORS.labels(operation=what).inc()
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))  # noqa: S311
                backoff_s = min(backoff_s * 2, BACKOFF_MAX_S)
