"""The `Retry-After` header: seconds, or a date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

SECONDS_MAX: Final = 24 * 60 * 60.0


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """How long the other side asks us to wait, at most a day; `None` when it says nothing readable."""
    text = headers.get("Retry-After") or headers.get("retry-after") or ""
    seconds = _number(headers.get("retry-after-ms") or "", scale=1000)
    if seconds is None:
        seconds = _number(text, scale=1)
    if seconds is None:
        seconds = _until(text)
    return None if seconds is None else min(max(seconds, 0.0), SECONDS_MAX)


def _number(text: str, *, scale: int) -> float | None:
    try:
        value = float(text) / scale
    except ValueError:
        return None
    return value if value == value and value != float("inf") else None  # noqa: PLR0124  # NaN


def _until(text: str) -> float | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - datetime.now(UTC)).total_seconds()
