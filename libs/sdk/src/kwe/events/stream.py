"""The organisation's stream in Redis, and whether it can still be trusted to have everything.

A stream says how many entries it ever had. A reader that counts what it has read therefore knows, whenever it has
caught up, whether entries went missing: trimmed before they were read, flushed, or lost with a failover.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from kwe.client.models import Event
from kwe.errors import NotConfigured
from kwe.events.cursor import NO_ENTRY, Cursor

if TYPE_CHECKING:
    from redis.asyncio import Redis

GENERATION_KEY: Final = "kwe:generation"
FIELD: Final = b"m"
COUNT: Final = 100
BLOCK_MS: Final = 2000
SOCKET_TIMEOUT_SECONDS: Final = BLOCK_MS / 1000 + 5


def stream_name(organization_id: str) -> str:
    return f"kwe:events:{organization_id}"


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries in order, each with the events of one turn of one execution."""

    entries: list[tuple[str, list[Event]]]
    is_whole: bool | None
    """False: something before these may be missing in the stream. None: not known before it has caught up."""


class EventStream:
    def __init__(self, redis: Redis, organization_id: str, cursor: Cursor) -> None:
        self._redis = redis
        self._name = stream_name(organization_id)
        self._cursor = cursor

    async def go_to_end(self) -> None:
        """From now on only what is new."""
        facts, generation = await self._facts()
        self._cursor.generation = generation
        self._cursor.stream_id = facts.last_id
        self._cursor.read = facts.added

    async def read(self) -> Batch:
        """What follows the cursor, after at most `BLOCK_MS`. Raises what redis-py raises.

        Moves the cursor past the entries; the caller saves it once they are handled.
        """
        reply: Any = await self._redis.xread(
            {self._name: self._cursor.stream_id}, count=COUNT, block=BLOCK_MS
        )
        rows = _rows(reply)
        if rows:
            self._cursor.stream_id = rows[-1][0].decode()
            if self._cursor.read is not None:
                self._cursor.read += len(rows)
        is_whole = None if len(rows) == COUNT else await self._is_whole()
        return Batch([(id.decode(), _events(fields)) for id, fields in rows], is_whole)

    async def _is_whole(self) -> bool | None:
        """Judged by the stream's own count. Sets the cursor right."""
        cursor = self._cursor
        facts, generation = await self._facts()
        renewed = cursor.generation is not None and generation != cursor.generation
        behind = position(facts.last_id) < position(cursor.stream_id)
        if behind:  # another stream of the same name: it starts over
            cursor.stream_id, cursor.read = NO_ENTRY, 0
        caught_up = facts.last_id == cursor.stream_id
        wrong = cursor.read is not None and (
            facts.added < cursor.read
            or facts.removed > cursor.read
            or (caught_up and facts.added != cursor.read)
        )
        if caught_up:
            cursor.read = facts.added
        elif wrong or renewed:
            cursor.read = None  # known again once it has caught up
        cursor.generation = generation if generation is not None else cursor.generation
        if renewed or behind or wrong:
            return False
        return True if caught_up else None

    async def _facts(self) -> tuple[_Facts, str | None]:
        async with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.execute_command("XINFO STREAM", self._name)
            pipeline.get(GENERATION_KEY)
            info, generation = await pipeline.execute(raise_on_error=False)
        # A consumer's own user may read its stream and nothing else: then it does without the generation.
        known = generation.decode() if isinstance(generation, bytes) else None
        return _facts_of(info), known


@dataclass(frozen=True, slots=True)
class _Facts:
    last_id: str
    added: int
    """Entries it ever had."""

    length: int

    @property
    def removed(self) -> int:
        return self.added - self.length


def _facts_of(info: Any) -> _Facts:
    if isinstance(info, Exception):
        if "no such key" in str(info):
            return _Facts(NO_ENTRY, 0, 0)
        raise info
    if isinstance(info, list):  # unparsed, as some versions of the client leave it in a pipeline
        info = dict(zip(info[::2], info[1::2], strict=True))
    facts = {_text(name): value for name, value in info.items()}
    if "entries-added" not in facts:
        raise NotConfigured("the stream's server is too old: Redis 7 or Valkey is needed")
    return _Facts(
        _text(facts["last-generated-id"]), int(facts["entries-added"]), int(facts["length"])
    )


def position(stream_id: str) -> tuple[int, int]:
    """Stream ids in their order."""
    milliseconds, _, number = stream_id.partition("-")
    return int(milliseconds), int(number or 0)


def _rows(reply: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    if not reply:
        return []
    # RESP3 answers with a map, RESP2 with a list of pairs.
    if isinstance(reply, dict):
        nested = next(iter(reply.values()))
        return [row for part in nested for row in (part if isinstance(part, list) else [part])]
    rows: list[tuple[bytes, dict[bytes, bytes]]] = reply[0][1]
    return rows


def _events(fields: dict[bytes, bytes]) -> list[Event]:
    content = orjson.loads(fields[FIELD])
    items = content if isinstance(content, list) else [content]
    return [Event.model_validate(item) for item in items]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
