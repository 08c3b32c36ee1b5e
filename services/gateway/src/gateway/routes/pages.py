"""Pages of lists: one item more than asked for says whether there is another page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from gateway.answers import json_answer
from gateway.cursors import encode_cursor
from gateway.reads.database import Row


def page(
    kind: str,
    rows: Sequence[Row],
    limit: int,
    *,
    item: Callable[[Row], Any],
    position: Callable[[Row], Sequence[str | int]],
) -> web.Response:
    """`rows` were read with `limit + 1`."""
    shown = rows[:limit]
    more = len(rows) > limit
    following = encode_cursor(kind, position(shown[-1])) if more else None
    return json_answer({"items": [item(row) for row in shown], "nextCursor": following})
