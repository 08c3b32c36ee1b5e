"""Where everything of the service meets: settings, database, model, store, pipeline, streams."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

from common.diagnosis import require_database, require_redis
from common.errors import ConfigurationError
from common.health import Check, Health, serve_health
from common.lifecycle import tune_garbage_collection
from common.migrations import pending
from common.postgres import create_pool
from common.security.vault import Vault
from common.serving.server import TaskServer, instance_name
from common.serving.store import PayloadStore
from common.settings import KnowledgeSettings
from common.streams.connection import Link
from common.streams.publisher import Publisher
from common.streams.requests import Requester
from knowledge.embedding.dimensions import refuse_impossible_dimensions, refuse_unlike_indexes
from knowledge.embedding.local import LocalEmbedder
from knowledge.embedding.openai import OpenAIEmbedder
from knowledge.engine import Knowledge
from knowledge.ingestion.pipeline import PipelineSettings
from knowledge.ports import Embedder, VectorStore
from knowledge.serving.functions import Functions
from knowledge.serving.requests import Requests
from knowledge.storage.queries import Pool
from knowledge.stores.pgvector import PgVectorStore

SERVICE = "knowledge"

SLOTS: Mapping[str, int] = {"knowledge.search": 32, "knowledge.ingest": 64}
"""Entries of a queue in work at a time. Ingesting tasks mostly wait for the pipeline, so they are many."""

READER_TIMEOUT_SECONDS = 10.0
"""Above the time for which a read of replies blocks."""


def make_embedder(settings: KnowledgeSettings) -> Embedder:
    if settings.embedding_provider == "openai":
        refuse_impossible_dimensions(settings)
        key = settings.openai_api_key
        return OpenAIEmbedder(
            # A server of one's own at OPENAI_BASE_URL may want no key; the client insists on some text.
            api_key=key.get_secret_value() if key else "none",
            base_url=settings.openai_base_url,
            model=settings.embedding_model,
            dimensions=settings.embedding_dimensions,
        )
    embedder = LocalEmbedder()
    wanted = (
        settings.embedding_model or embedder.model,
        settings.embedding_dimensions or embedder.dimensions,
    )
    if wanted != (embedder.model, embedder.dimensions):
        raise ConfigurationError(
            f"EMBEDDING_PROVIDER local has one model, {embedder.model} with {embedder.dimensions} dimensions; "
            "remove EMBEDDING_MODEL and EMBEDDING_DIMENSIONS, or set EMBEDDING_PROVIDER=openai"
        )
    return embedder


def make_store(settings: KnowledgeSettings) -> VectorStore:
    if settings.vector_db_provider == "pinecone":
        raise ConfigurationError(
            "VECTOR_DB_PROVIDER pinecone is not supported by this version; use pgvector"
        )
    return PgVectorStore()


@asynccontextmanager
async def knowledge_service(settings: KnowledgeSettings) -> AsyncGenerator[Health]:
    """Serve until the block is left; then finish what is in work within the grace period."""
    embedder, store = make_embedder(settings), make_store(settings)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            await create_pool(settings, application_name="kwe-knowledge")
        )
        publisher_link = Link(settings.redis_dsn, name="kwe-knowledge")
        stack.push_async_callback(publisher_link.close)
        health = await stack.enter_async_context(
            serve_health(SERVICE, settings, _checks(pool, publisher_link))
        )
        await require_database(pool, migrations=["knowledge.migrations"], vectors=True)
        await require_redis(publisher_link, may_be_away=True)
        await refuse_unlike_indexes(pool, embedder)
        knowledge = Knowledge(
            pool,
            embedder=embedder,
            store=store,
            pipeline_settings=PipelineSettings(lease=settings.task_lease),
        )
        await stack.enter_async_context(knowledge.running())
        server = await _task_server(stack, settings, knowledge, pool, publisher_link)
        drain = max(settings.shutdown_grace - timedelta(seconds=5), timedelta(seconds=1))
        await stack.enter_async_context(server.running(drain_s=drain.total_seconds()))
        tune_garbage_collection()
        yield health


async def _task_server(
    stack: AsyncExitStack,
    settings: KnowledgeSettings,
    knowledge: Knowledge,
    pool: Pool,
    publisher_link: Link,
) -> TaskServer:
    instance = instance_name()
    publisher = Publisher(publisher_link)
    reader = Link(
        settings.redis_dsn, name="kwe-knowledge-replies", timeout_s=READER_TIMEOUT_SECONDS
    )
    stack.push_async_callback(reader.close)
    requester = Requester(publisher, reader, instance=instance)
    await stack.enter_async_context(requester.running())
    payloads = PayloadStore(pool)
    return TaskServer(
        queues=tuple(SLOTS),
        slots=SLOTS,
        functions=Functions(knowledge, pool).handlers(),
        requests=Requests(knowledge, payloads, pool).handlers(),
        redis_url=settings.redis_dsn,
        instance=instance,
        publisher=publisher,
        requester=requester,
        store=payloads,
        lease=settings,
        armed_failpoint=settings.kwe_failpoint,
        vault=Vault.of(settings),
    )


def _checks(pool: Pool, redis: Link) -> dict[str, Check]:
    async def database() -> str | None:
        missing = await pending(pool, ["knowledge.migrations"])
        return f"migrations are missing: {', '.join(missing)}" if missing else None

    async def streams() -> str | None:
        await redis.call(b"PING")
        return None

    return {"database": database, "redis": streams}
