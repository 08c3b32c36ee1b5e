"""Start, drain, stop, and fail the way an operator can live with."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from common.errors import ConfigurationError
from common.lifecycle import background, run_service, run_until_signalled, tune_garbage_collection


def signal_soon(signum: signal.Signals, *, after: float = 0.01) -> None:
    asyncio.get_running_loop().call_later(after, os.kill, os.getpid(), signum)


async def broken_relay() -> None:
    raise ConnectionError("relay died")


async def for_ever() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_then_leaves_the_service(signum: signal.Signals) -> None:
    story: list[str] = []

    @asynccontextmanager
    async def service() -> AsyncIterator[None]:
        story.append("started")
        signal_soon(signum)
        yield
        story.append("stopped")

    await run_until_signalled(
        service(), grace_seconds=5, on_draining=lambda: story.append("draining")
    )
    assert story == ["started", "draining", "stopped"]


async def test_work_that_does_not_finish_in_time_is_abandoned() -> None:
    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        signal_soon(signal.SIGTERM)
        yield
        await for_ever()

    await asyncio.wait_for(run_until_signalled(stubborn(), grace_seconds=0.05), timeout=5)


async def test_a_second_signal_ends_the_grace_period() -> None:
    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        signal_soon(signal.SIGTERM)
        yield
        signal_soon(signal.SIGTERM)
        await for_ever()

    await asyncio.wait_for(run_until_signalled(stubborn(), grace_seconds=60), timeout=5)


async def test_a_background_failure_stops_the_service_and_keeps_its_cause() -> None:
    with pytest.raises(ExceptionGroup) as failed:
        await run_until_signalled(background(broken_relay()), grace_seconds=1)
    assert isinstance(failed.value.exceptions[0], ConnectionError)


async def test_background_work_is_cancelled_with_the_block() -> None:
    cancelled = asyncio.Event()

    async def job() -> None:
        try:
            await for_ever()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with background(job()):
        await asyncio.sleep(0)
    assert cancelled.is_set()


async def test_a_time_out_inside_the_service_is_a_failure_and_no_end_of_grace() -> None:
    @asynccontextmanager
    async def impatient() -> AsyncIterator[None]:
        raise TimeoutError("dependency")
        yield

    with pytest.raises(TimeoutError, match="dependency"):
        await run_until_signalled(impatient(), grace_seconds=1)


async def misconfigured() -> None:
    raise ConfigurationError("DATABASE_URL: nothing listens there")


async def misconfigured_in_the_background() -> None:
    async with background(misconfigured()):
        await for_ever()


@pytest.mark.parametrize("main", [misconfigured, misconfigured_in_the_background])
def test_what_an_operator_must_mend_is_one_line_and_exit_code_2(
    main: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main)
    with pytest.raises(SystemExit) as ended:
        run_service("gateway", main())
    assert ended.value.code == 2
    assert capsys.readouterr().err == "gateway: DATABASE_URL: nothing listens there\n"


def test_a_bug_ends_the_process_with_code_1_and_a_traceback_in_the_log() -> None:
    script = (
        "from common.lifecycle import run_service\n"
        "from common.logs import configure_logging\n"
        "from common.settings import LogSettings\n"
        "configure_logging('executor', LogSettings())\n"
        "async def main(): raise RuntimeError('a bug')\n"
        "run_service('executor', main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert '"event":"service_failed"' in ended.stdout
    assert "RuntimeError: a bug" in ended.stdout
    assert ended.stderr == ""


@pytest.fixture
def restored_collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


@pytest.mark.usefixtures("restored_collector")
def test_the_collector_is_told_to_forget_what_start_up_made() -> None:
    tune_garbage_collection()
    assert gc.get_freeze_count() > 0
    assert gc.get_threshold()[0] > 10_000
