"""How far behind ingestion is, for dashboards and alerts: what is unfinished, and since when nobody touched it."""

import asyncio

import asyncpg

from common.logs import get_logger
from common.metrics import DOCUMENTS_UNFINISHED, DOCUMENTS_WAITING_SECONDS
from knowledge.storage import work
from knowledge.storage.queries import Pool

log = get_logger(__name__)

EVERY_SECONDS = 30.0


async def show_backlog(pool: Pool) -> None:
    """Count for ever. While PostgreSQL is away the last numbers stand; its absence shows elsewhere."""
    while True:
        try:
            async with pool.acquire() as connection:
                unfinished, waiting_s = await work.backlog(connection)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.debug("backlog_not_counted", error=str(error) or type(error).__name__)
        else:
            DOCUMENTS_UNFINISHED.set(unfinished)
            DOCUMENTS_WAITING_SECONDS.set(waiting_s)
        await asyncio.sleep(EVERY_SECONDS)
