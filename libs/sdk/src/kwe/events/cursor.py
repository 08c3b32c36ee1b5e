"""Where a consumer goes on after a restart."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from kwe.errors import NotConfigured

NO_ENTRY = "0-0"


@dataclass(slots=True)
class Cursor:
    """What was handled: a position in the stream, and the last sequence of each execution."""

    stream_id: str = NO_ENTRY
    read: int | None = None
    """How many entries the stream ever had up to this position; None where that is not known."""

    generation: str | None = None
    """Of the contents of Redis, where the consumer may read it."""

    trusted_from: str | None = None
    """An instant: what happened before it has been handled, whatever the stream loses."""

    sequences: dict[str, int] = field(default_factory=dict)
    """By execution; of finished ones the latest only."""

    @property
    def place(self) -> Place:
        return Place(self.stream_id, self.read, self.generation)

    def go_back(self, place: Place) -> None:
        """What was read since then has not been handled."""
        self.stream_id, self.read, self.generation = place.stream_id, place.read, place.generation


@dataclass(frozen=True, slots=True)
class Place:
    """The part of a cursor that reading moves."""

    stream_id: str
    read: int | None
    generation: str | None


class CursorStore(Protocol):
    """Keeps a cursor. `save` returns when it is safe; whatever was handled after it may come again."""

    def load(self) -> Cursor | None: ...

    def save(self, cursor: Cursor) -> None: ...


class MemoryCursor:
    """Forgets with the process."""

    def __init__(self) -> None:
        self._saved: bytes | None = None

    def load(self) -> Cursor | None:
        return None if self._saved is None else Cursor(**orjson.loads(self._saved))

    def save(self, cursor: Cursor) -> None:
        self._saved = orjson.dumps(asdict(cursor))


class CursorFile:
    """A file that is replaced in one step, so that a crash leaves the old cursor or the new one."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> Cursor | None:
        try:
            content: Any = orjson.loads(self._file.read_bytes())
            return Cursor(**content)
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, TypeError) as error:
            raise NotConfigured(f"{self._file} is no cursor of this kit: {error}") from error

    def save(self, cursor: Cursor) -> None:
        new = self._file.with_name(f"{self._file.name}.new")
        with new.open("wb") as stream:
            stream.write(orjson.dumps(asdict(cursor)))
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(self._file)
