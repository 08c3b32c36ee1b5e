"""What becomes of PostgreSQL's own failures: tried again where that is safe, else said in our words."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from common.errors import Unavailable, Unprocessable
from common.postgres import is_data_error, is_retryable, retrying
from knowledge.storage.queries import Pool

T = TypeVar("T")

TRIES_MAX = 3
PAUSE_MAX_SECONDS = 0.25
"""Somebody waits for the answer: enough for a server that restarted, not for one that stays away."""


async def despite_outages(pool: Pool, work: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
    """Do `work`, again if `repeatable`. Raise `Unavailable` when PostgreSQL is away, `Unprocessable` for what it
    refuses as data."""
    try:
        return await retrying(
            work,
            pool=pool,
            attempts_max=TRIES_MAX if repeatable else 1,
            delay_max=PAUSE_MAX_SECONDS,
        )
    except Exception as error:
        if is_retryable(error):
            raise Unavailable(
                "PostgreSQL is away; nothing was changed, or it is safe to repeat.",
                code="database_unavailable",
            ) from error
        if is_data_error(error):
            raise Unprocessable(
                "The request contains characters or numbers that cannot be stored."
            ) from error
        raise
