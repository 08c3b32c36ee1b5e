"""Entries of an organisation's feed: the CloudEvents of one turn of one execution each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

_EXECUTION: Final = re.compile(rb'"id":"([0-9a-f-]{36})/\d+"')
_ENDINGS: Final = (
    b".workflow.completed.v1",
    b".workflow.faulted.v1",
    b".workflow.cancelled.v1",
)


@dataclass(frozen=True, slots=True)
class FeedEntry:
    id: str
    """Of the stream: `milliseconds-number`."""

    raw: bytes
    """A JSON array of CloudEvents."""

    def execution_id(self) -> str | None:
        """Whose turn it is, found without parsing: nearly all entries interest nobody here."""
        found = _EXECUTION.search(self.raw)
        return found[1].decode() if found is not None else None

    def may_be_an_end(self) -> bool:
        """False is certain; True may come from text inside the data, and costs one look into PostgreSQL."""
        return any(ending in self.raw for ending in _ENDINGS)

    def events(self) -> Iterator[dict[str, Any]]:
        parsed = orjson.loads(self.raw)
        yield from parsed if isinstance(parsed, list) else [parsed]


def position(stream_id: str) -> tuple[int, int]:
    """Stream ids in their order."""
    milliseconds, _, number = stream_id.partition("-")
    return int(milliseconds), int(number or 0)


def is_stream_id(text: str) -> bool:
    return re.fullmatch(r"\d{1,19}-\d{1,19}", text) is not None


def entries_of(rows: list[Any]) -> list[FeedEntry]:
    """From what XREAD and XRANGE answer. An entry has one field."""
    return [FeedEntry(row[0].decode(), row[1][1]) for row in rows if row[1]]
