"""How a service process starts, drains and stops.

Start: wrong settings, an unreachable database or a taken port end the process with exit code 2 and one line.
Running: the failure of any background job ends the process with a traceback and exit code 1; a half-alive
replica is worse than none, and the supervisor starts another.
SIGTERM or SIGINT: stop taking work, finish what is in flight within the grace period, close connections. What is
not finished by then is abandoned, and redelivered to another replica. A second signal ends the grace period.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from common.bounded_labels import show_organizations
from common.error_reports import configure_error_reports, flush_error_reports
from common.errors import ConfigurationError
from common.logs import configure_logging, get_logger, toggle_debug_on_signal
from common.metrics import BUILD
from common.release import version
from common.settings import CommonSettings, load
from common.telemetry import configure_tracing, shutdown_tracing

S = TypeVar("S", bound=CommonSettings)

log = get_logger(__name__)

EXIT_FAILURE = 1


def start_process(service: str, settings_class: type[S]) -> S:
    """The first line of every `__main__`: read the settings, then set up logs, traces and error reports."""
    settings = load(settings_class)
    configure_logging(service, settings)
    toggle_debug_on_signal()
    configure_tracing(service, settings, environment=settings.app_env.value)
    configure_error_reports(settings)
    show_organizations(settings.metrics_organizations)
    BUILD.info({"service": service, "version": version(), "python": sys.version.partition(" ")[0]})
    return settings


async def run_until_signalled(
    service: AbstractAsyncContextManager[Any],
    *,
    grace_seconds: float,
    on_draining: Callable[[], None] | None = None,
) -> None:
    """Enter `service`, wait for SIGTERM or SIGINT, then leave it within `grace_seconds`.

    `on_draining` is called when the signal arrives, before the service is left: readiness turns false there.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        # The deadline is armed only once draining starts.
        async with asyncio.timeout(None) as deadline:
            with _signals_handled(loop, stop, deadline):
                async with service:
                    log.info("service_started")
                    await stop.wait()
                    log.info("service_draining", grace_seconds=grace_seconds)
                    if on_draining is not None:
                        on_draining()
                    deadline.reschedule(loop.time() + grace_seconds)
    except TimeoutError:
        if not deadline.expired():
            raise
        log.warning("service_stopped_with_work_in_flight")
    else:
        log.info("service_stopped")


@contextmanager
def _signals_handled(
    loop: asyncio.AbstractEventLoop, stop: asyncio.Event, deadline: asyncio.Timeout
) -> Iterator[None]:
    def on_signal() -> None:
        if not stop.is_set():
            stop.set()
        elif not deadline.expired():
            deadline.reschedule(loop.time())

    signals = (signal.SIGTERM, signal.SIGINT)
    for signum in signals:
        loop.add_signal_handler(signum, on_signal)
    try:
        yield
    finally:
        for signum in signals:
            loop.remove_signal_handler(signum)


@asynccontextmanager
async def background(
    job: Coroutine[Any, Any, None], *, name: str | None = None
) -> AsyncGenerator[None]:
    """Run `job` beside the block and cancel it at the end. If the job fails, the block stops and the error
    surfaces as an exception group. A job that returns by itself is done, and that is no failure.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(job, name=name)
        yield
        task.cancel()


def run_service(name: str, main: Coroutine[Any, Any, None]) -> None:
    """Run `main` to its end on uvloop. Exits with 2 and one line for what an operator must mend, with 1 and a
    traceback in the log for a bug."""
    try:
        _run(main)
    except Exception as error:
        if (configuration := _configuration_error_in(error)) is not None:
            sys.stderr.write(f"{name}: {configuration.detail}\n")
            raise SystemExit(configuration.exit_code) from None
        log.exception("service_failed")
        raise SystemExit(EXIT_FAILURE) from None
    finally:
        shutdown_tracing()
        flush_error_reports()


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # not built for this platform
        asyncio.run(main)
    else:
        uvloop.run(main)


def _configuration_error_in(error: BaseException) -> ConfigurationError | None:
    """The error itself, or the first one in a group that background jobs have made of it."""
    if isinstance(error, BaseExceptionGroup):
        found = (_configuration_error_in(one) for one in error.exceptions)
        return next((one for one in found if one is not None), None)
    return error if isinstance(error, ConfigurationError) else None


def tune_garbage_collection() -> None:
    """Call when start-up is over: what exists now lives as long as the process, so the collector may forget it.

    The thresholds trade a little memory for a tenth of the collections; a batch makes tens of thousands of
    objects that reference counting frees anyway.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
