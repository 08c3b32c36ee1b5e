"""Instants as texts. The core counts milliseconds since the epoch; people and the language read RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime


def iso8601(at_ms: int) -> str:
    text = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"
