"""A function of our own: checks that every citation is whole, at a reviewer's pace.

Served with `kwe worker examples/refund-policy/review.py`, and by the executors of `CRASH=1 kwe demo`.
"""

import asyncio
from typing import Any

from pydantic import BaseModel, Field

from kwe import TaskContext, function


class Review(BaseModel):
    citations: list[dict[str, Any]] = []
    seconds: float = Field(0.0, ge=0, le=60)
    """How long the reviewer looks at it."""


class Verdict(BaseModel):
    approved: bool
    checked: int
    idempotency_key: str = Field(alias="idempotencyKey")


@function("review", version="1.0.0", queue="default")
async def review(input: Review, context: TaskContext) -> Verdict:
    """Approves an answer whose citations all name a document and quote it."""
    await asyncio.sleep(input.seconds)
    whole = [one for one in input.citations if one.get("text") and one.get("id")]
    return Verdict(
        approved=len(whole) == len(input.citations),
        checked=len(input.citations),
        # The same if this ran twice: whoever acts on the verdict can tell.
        idempotencyKey=context.idempotency_key,
    )
