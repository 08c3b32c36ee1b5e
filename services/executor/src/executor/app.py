"""Wiring: the only module that knows everything an executor is made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from common.diagnosis import require_database, require_redis
from common.errors import ConfigurationError
from common.health import Check, database_check, serve_health
from common.lifecycle import background, run_until_signalled, tune_garbage_collection
from common.logs import get_logger
from common.postgres import create_pool
from common.security.vault import Vault
from common.serving.functions import Function
from common.serving.ports import Handler
from common.serving.server import TaskServer, instance_name
from common.serving.store import PayloadStore
from common.settings import ExecutorSettings
from common.streams.connection import REDIS_ERRORS, Link
from common.streams.publisher import Publisher
from common.streams.requests import BLOCK_MS, Requester
from executor.http.call import HttpFunction
from executor.llm.anthropic_provider import AnthropicProvider
from executor.llm.extractive.provider import ExtractiveProvider
from executor.llm.function import LlmFunction
from executor.llm.openai_provider import OpenAIProvider
from executor.llm.providers import Provider
from executor.modules import load_functions
from executor.outbound.addresses import OutboundRules
from executor.outbound.client import OutboundClient
from executor.own_functions import handler_of
from executor.registration import Registration

log = get_logger(__name__)

SERVICE: Final = "executor"

REPLY_TIMEOUT_S: Final = BLOCK_MS / 1000 + 5
DRAIN_RESERVE_S: Final = 3.0
"""Of the grace period, kept for handing back what is unfinished and closing connections."""


async def run(settings: ExecutorSettings) -> None:
    """Serve until a signal asks to stop."""
    await run_until_signalled(
        executor_service(settings), grace_seconds=settings.shutdown_grace.total_seconds()
    )


@asynccontextmanager
async def executor_service(settings: ExecutorSettings) -> AsyncGenerator[TaskServer]:
    """Serve the queues for the length of the block, then drain."""
    own = served_functions(settings)
    instance, redis = instance_name(), settings.redis_dsn
    async with AsyncExitStack() as stack:
        pool = await create_pool(settings, application_name="kwe-executor", min_size=1)
        stack.push_async_callback(pool.close)
        publishing = Link(redis, name="kwe-executor-publisher")
        stack.push_async_callback(publishing.close)
        replies = Link(redis, timeout_s=REPLY_TIMEOUT_S, name="kwe-executor-replies")
        stack.push_async_callback(replies.close)
        await require_database(pool)
        await require_redis(publishing, may_be_away=True)
        publisher = Publisher(publishing)
        requester = Requester(publisher, replies, instance=instance)
        registration = Registration(requester, own)
        checks = {
            "postgres": database_check(pool),
            "redis": _redis_check(redis),
            "functions": registration.check,
        }
        health = await stack.enter_async_context(serve_health(SERVICE, settings, checks))
        await stack.enter_async_context(requester.running())
        await stack.enter_async_context(background(registration.run(), name="registration"))
        server = TaskServer(
            queues=settings.executor_queues,
            slots=settings.executor_slots,
            functions=await _handlers(settings, own, stack),
            redis_url=redis,
            instance=instance,
            publisher=publisher,
            requester=requester,
            store=PayloadStore(pool),
            lease=settings,
            armed_failpoint=settings.kwe_failpoint,
            vault=Vault.of(settings),
        )
        drain_s = max(1.0, settings.shutdown_grace.total_seconds() - DRAIN_RESERVE_S)
        async with server.running(drain_s=drain_s):
            tune_garbage_collection()
            try:
                yield server
            finally:
                health.start_draining()


def served_functions(settings: ExecutorSettings) -> list[Function]:
    """The own functions that are on a queue this executor serves.

    Raises `ConfigurationError` where a module was given but nothing of it would ever be run.
    """
    functions = load_functions(settings.executor_modules)
    served = [one for one in functions if one.queue in settings.executor_queues]
    unserved = sorted({one.queue for one in functions} - set(settings.executor_queues))
    if functions and not served:
        raise ConfigurationError(
            f"no function of EXECUTOR_MODULES is on a queue that this executor serves: add {', '.join(unserved)} to "
            f"EXECUTOR_QUEUES={','.join(settings.executor_queues)}"
        )
    if unserved:
        log.warning("functions_left_to_other_executors", queues=unserved)
    return served


async def _handlers(
    settings: ExecutorSettings, own: Sequence[Function], stack: AsyncExitStack
) -> dict[str, Handler]:
    client = await stack.enter_async_context(
        OutboundClient(OutboundRules.of(settings.outbound_allow))
    )
    llm = llm_function(settings)
    stack.push_async_callback(llm.close)
    threads = ThreadPoolExecutor(settings.executor_slots, thread_name_prefix="function")
    stack.callback(threads.shutdown, wait=False, cancel_futures=True)
    handlers: dict[str, Handler] = {"http": HttpFunction(client), "llm:1.0.0": llm}
    for one in own:
        if one.reference in handlers:
            raise ConfigurationError(f"{one.reference} is built in: choose another name or version")
        handlers[one.reference] = handler_of(one, threads)
    return handlers


def llm_function(settings: ExecutorSettings) -> LlmFunction:
    providers: list[Provider] = [
        OpenAIProvider(settings),
        AnthropicProvider(settings),
        ExtractiveProvider(),
    ]
    return LlmFunction(
        {provider.name: provider for provider in providers},
        default=settings.llm_provider_selected,
        fallback=settings.llm_fallback,
    )


def _redis_check(url: str) -> Check:
    link = Link(url, timeout_s=2, name="kwe-executor-ready")

    async def check() -> str | None:
        try:
            await link.call(b"PING")
        except REDIS_ERRORS as error:
            return f"Redis does not answer: {type(error).__name__}"
        finally:
            await link.close()
        return None

    return check
