"""The loop of ingestion: find work, claim a batch, take it through the stages, and judge what fails."""

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import asyncpg

from common.errors import EngineError, Unavailable
from common.lifecycle import background
from common.logs import get_logger
from common.metrics import DOCUMENTS
from common.postgres import is_retryable
from knowledge.ingestion.backlog import show_backlog
from knowledge.ingestion.stages import Stages
from knowledge.storage import collections, index, work
from knowledge.storage.queries import Connection, Pool
from knowledge.storage.work import Batch, Claimed

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    lease: timedelta = timedelta(seconds=30)
    """How long a batch may go without a committed step before others take it. Longer than the slowest step, which
    is a call of an embedding provider up to its timeout."""

    sweep: timedelta = timedelta(seconds=5)
    """How often work is looked for without being told of any."""

    batch: int = 64
    """Documents of one collection that go through the stages, and become searchable, together."""

    batch_bytes: int = 2_000_000
    """Their text together. A single larger document goes alone."""

    attempts_max: int = 5
    delay_initial: timedelta = timedelta(seconds=1)
    delay_max: timedelta = timedelta(minutes=5)


class Pipeline:
    def __init__(self, pool: Pool, stages: Stages, settings: PipelineSettings) -> None:
        self._pool = pool
        self._stages = stages
        self._settings = settings
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """There is work. Losing this call costs one sweep interval at most."""
        self._nudged.set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        async with (
            background(show_backlog(self._pool), name="backlog"),
            background(self._run_forever(), name="ingestion"),
        ):
            yield

    async def _run_forever(self) -> None:
        while True:
            self._nudged.clear()
            try:
                worked = await self.run_once()
                worked = await self.merge_once() or worked
            except Exception as error:
                # Nothing is lost: claims run out, and rows say what is to be done.
                log.warning(
                    "ingestion_interrupted",
                    error=type(error).__name__,
                    exc_info=not is_retryable(error),
                )
                if is_retryable(error):
                    await self._pool.expire_connections()
                worked = False
            if not worked:
                await self._rest()

    async def _rest(self) -> None:
        # Jitter keeps replicas from sweeping in step.
        seconds = self._settings.sweep.total_seconds() * random.uniform(0.75, 1.25)  # noqa: S311
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudged.wait()

    async def run_once(self) -> bool:
        """Work through one batch of every collection that has some. Whether there was any."""
        async with self._pool.acquire() as connection:
            waiting = await work.collections_with_work(connection)
        found = False
        for collection_id in waiting:
            async with self._pool.acquire() as connection:
                target = await collections.active_index_of(connection, collection_id)
                if target is None:
                    continue
                batch = await work.claim(
                    connection,
                    target,
                    claim=uuid4(),
                    lease=self._settings.lease,
                    limit=self._settings.batch,
                )
            if batch.documents:
                found = True
                await self._work_through(await self._no_more_than_fits(batch))
        return found

    async def _no_more_than_fits(self, batch: Batch) -> Batch:
        kept: list[Claimed] = []
        size = 0
        for document in batch.documents:
            size += document.bytes
            if not kept or size <= self._settings.batch_bytes:
                kept.append(document)
        fitting = batch.only({document.id for document in kept})
        if len(kept) < len(batch.documents):
            await self._give_back(batch.only(set(batch.ids) - set(fitting.ids)))
        return fitting

    async def merge_once(self) -> bool:
        """Keep the keyword index in few segments. Whether there was one to merge."""
        async with self._pool.acquire() as connection:
            wide = await index.indexes_to_merge(connection)
            merged = [await _merged(connection, target) for target in wide]
        return any(merged)

    async def _work_through(self, batch: Batch) -> None:
        batch = await self._without_hopeless(batch)
        try:
            await self._stages.run(batch)
        except asyncio.CancelledError:
            await self._give_back(batch)
            raise
        except Exception as error:
            if is_retryable(error):
                await self._give_back(batch)
                raise
            if len(batch.documents) > 1:
                # One of them is at fault. Alone, the others pass and it is told apart.
                for document in batch.documents:
                    await self._work_through(batch.only({document.id}))
                return
            for document in batch.documents:
                await self._judge(batch, document, error)
        else:
            DOCUMENTS.labels("ready").inc(len(batch.documents))

    async def _without_hopeless(self, batch: Batch) -> Batch:
        """Give up what has been begun too often without an end: it may be what kills the workers."""
        hopeless = [d for d in batch.documents if d.attempts > self._settings.attempts_max]
        for document in hopeless:
            reason = (
                f"Given up after {document.attempts - 1} attempts that did not come to an end; "
                "the service's log has the reasons."
            )
            async with self._pool.acquire() as connection:
                await work.fail(connection, batch, document.id, reason)
            DOCUMENTS.labels("failed").inc()
        return batch.only({d.id for d in batch.documents} - {d.id for d in hopeless})

    async def _judge(self, batch: Batch, document: Claimed, error: Exception) -> None:
        """Record why one document did not pass, and whether it is tried again."""
        reason, may_pass = _reason(error)
        again = may_pass and document.attempts < self._settings.attempts_max
        log.warning(
            "document_not_ingested",
            organization_id=str(batch.target.organization_id),
            document_id=document.id,
            error=type(error).__name__,
            will_retry=again,
            # PostgreSQL's own words quote the row that it refuses, and so the document.
            exc_info=not isinstance(error, EngineError | asyncpg.PostgresError),
        )
        async with self._pool.acquire() as connection:
            if again:
                delay = self._delay(document.attempts, error)
                await work.retry_later(connection, batch, document.id, reason, delay)
            else:
                await work.fail(connection, batch, document.id, reason)
                DOCUMENTS.labels("failed").inc()

    def _delay(self, attempts: int, error: Exception) -> timedelta:
        asked = error.retry_after if isinstance(error, EngineError) else None
        doublings: int = 2 ** (attempts - 1)
        doubled = min(self._settings.delay_initial * doublings, self._settings.delay_max)
        return max(doubled, timedelta(seconds=asked or 0))

    async def _give_back(self, batch: Batch) -> None:
        """In good order other workers need not wait for the lease; if it fails they only wait."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2), self._pool.acquire() as connection:
                await work.release(connection, batch)


async def _merged(connection: Connection, target: collections.IndexVersion) -> bool:
    try:
        return await index.merge_segments(connection, target)
    except (asyncpg.SerializationError, asyncpg.ForeignKeyViolationError):
        # Another replica merged the same segments, or the collection was deleted.
        return False


def _reason(error: Exception) -> tuple[str, bool]:
    """What the document's owner reads, and whether another attempt may pass."""
    if isinstance(error, EngineError):
        return error.detail, isinstance(error, Unavailable)
    if isinstance(error, asyncpg.DataError):
        return "PostgreSQL refuses the document's content as data.", False
    return (
        f"An unexpected error in the service ({type(error).__name__}); its log has the details.",
        True,
    )
