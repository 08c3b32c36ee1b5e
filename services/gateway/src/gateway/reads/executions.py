"""Executions as PostgreSQL has them: one, and lists with filters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from common.ids import MAX_CLOCK_SKEW_MS
from gateway.reads.queries import EXECUTIONS

_FILTERS_MARK: Final = "/* filters */"


class ListStatement:
    """The list query with the filters that are given, and their arguments. Texts are constants, values are not in it."""

    def __init__(self, organization_id: UUID, limit: int) -> None:
        self._conditions: list[str] = []
        self.arguments: list[object] = [organization_id, limit]

    def where(self, condition: str, value: object) -> None:
        """`condition` has `{}` where the value goes."""
        self.arguments.append(value)
        self._conditions.append(condition.format(f"${len(self.arguments)}"))

    @property
    def text(self) -> str:
        filters = "".join(f"\n  AND {condition}" for condition in self._conditions)
        return EXECUTIONS["list_executions"].replace(_FILTERS_MARK, filters)


def list_statement(
    organization_id: UUID,
    *,
    limit: int,
    before: UUID | None,
    statuses: Sequence[str] | None,
    workflow: str | None,
    labels: Sequence[str] | None,
    created_after: datetime | None,
    created_before: datetime | None,
    parent: UUID | None,
) -> ListStatement:
    statement = ListStatement(organization_id, limit)
    if before is not None:
        statement.where("e.id < {}", before)
    if statuses:
        statement.where("e.status = ANY ({})", list(statuses))
    if workflow is not None:
        _where_workflow(statement, workflow)
    if labels:
        statement.where("e.labels @> {}::jsonb", _labels(labels))
    if created_after is not None:
        # Ids are made a moment before the row, by another clock: the range of ids only narrows the search.
        statement.where("e.id >= {}", _id_floor(created_after))
        statement.where("e.created_at >= {}", created_after)
    if created_before is not None:
        statement.where("e.created_at < {}", created_before)
    if parent is not None:
        statement.where("e.parent_id = {}", parent)
    return statement


def _where_workflow(statement: ListStatement, workflow: str) -> None:
    if "/" in workflow:
        statement.where("e.workflow_id = {}", workflow)
    else:
        statement.where("starts_with(e.workflow_id, {})", f"{workflow}/")


def _labels(labels: Sequence[str]) -> str:
    pairs: dict[str, Any] = {}
    for label in labels:
        name, _, value = label.partition(":")
        pairs[name] = value
    return orjson.dumps(pairs).decode()


def _id_floor(instant: datetime) -> UUID:
    # In numbers: the first instants of the calendar have nothing before them.
    milliseconds = int(instant.timestamp() * 1000) - MAX_CLOCK_SKEW_MS
    return UUID(int=max(0, milliseconds) << 80)
