"""The functions that a workflow may call: the engine's own, and those that executors have declared."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import orjson

from gateway.reads.database import Database
from gateway.reads.queries import WORKFLOWS
from workflow.document.catalog import FunctionSpec

REMEMBER_SECONDS: Final = 2.0


class Catalogue:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._specs: tuple[FunctionSpec, ...] = ()
        self._fresh_until = 0.0

    async def own_functions(self) -> Sequence[FunctionSpec]:
        """What executors declared; a new one is known here after a moment."""
        if time.monotonic() >= self._fresh_until:
            async with self._database.primary.transaction(None) as connection:
                rows = await connection.fetch(WORKFLOWS["list_functions"])
            self._specs = tuple(_spec(row) for row in rows)
            self._fresh_until = time.monotonic() + REMEMBER_SECONDS
        return self._specs


def _spec(row: Any) -> FunctionSpec:
    return FunctionSpec(
        name=row["name"],
        version=row["version"],
        queue=row["queue"],
        description=row["description"],
        input_schema=_schema(row["input_schema"]),
        output_schema=_schema(row["output_schema"]),
        at_most_once=row["at_most_once"],
    )


def _schema(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    schema = orjson.loads(text)
    return schema if isinstance(schema, dict) else {}
