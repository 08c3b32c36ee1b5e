"""The months that an installation keeps, and what keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

DEFAULT: Final = "default"

_MONTHS: Final = """
SELECT m.month, m.lower, m.upper, m.executions, m.bytes, s.last_ended_at, now() AS now,
       CASE WHEN m.lower IS NOT NULL THEN workflow.unfinished_between(m.lower, m.upper) END AS unfinished
FROM workflow.months() AS m LEFT JOIN workflow.settled_months AS s USING (month)"""


@dataclass(frozen=True, slots=True)
class Month:
    month: str
    """YYYY-MM, or `default`: what belongs to no month."""

    executions: int
    """PostgreSQL's estimate."""

    bytes: int
    unfinished: int | None
    fate: str
    """What becomes of it, and why."""


async def months(database: Any, *, days: int) -> list[Month]:
    """Oldest first. `days` is RETENTION_DAYS; 0 keeps everything."""
    return [_month(row, days) for row in await database.fetch(_MONTHS)]


def _month(row: Any, days: int) -> Month:
    name = row["month"] if row["month"] == DEFAULT else f"{row['month'][:4]}-{row['month'][4:]}"
    return Month(name, row["executions"], row["bytes"], row["unfinished"], _fate(row, days))


def _fate(row: Any, days: int) -> str:
    upper: datetime | None = row["upper"]
    if days == 0:
        return "kept: RETENTION_DAYS is not set"
    if upper is None:
        return "rows go one by one when they are old"
    kept_for = timedelta(days=days)
    if upper > row["now"]:
        return "in use" if row["lower"] <= row["now"] else "ahead of its time"
    if row["unfinished"]:
        return f"held by {row['unfinished']} unfinished"
    last = max(upper, row["last_ended_at"] or upper)
    if last + kept_for > row["now"]:
        return f"dropped after {(last + kept_for).date()}"
    return "dropped in the next round"
