"""A log line is one JSON object with known keys, whatever is logged."""

import asyncio
import json
import logging
import os
import signal
import threading
from collections.abc import Iterator
from uuid import UUID

import pytest
import structlog
from aiohttp import web
from pydantic import SecretStr

from common.logs import (
    configure_logging,
    contents_are_logged,
    get_logger,
    toggle_debug,
    toggle_debug_on_signal,
)
from common.settings import GatewaySettings, LogSettings
from common.telemetry import current_traceparent, new_traceparent, span

EXECUTION = UUID("0194b1c4-0000-7000-8000-000000000001")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level


def lines(capture: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capture.readouterr().out.splitlines()]


def test_a_line_says_when_what_and_who(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("orchestrator", LogSettings())
    get_logger().info("task_failed", code="timeout", attempt=2)
    (line,) = lines(capsys)
    assert line.pop("timestamp")
    assert line == {
        "level": "info",
        "event": "task_failed",
        "service": "orchestrator",
        "code": "timeout",
        "attempt": 2,
    }


def test_bound_identity_appears_under_its_json_names(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("executor", LogSettings())
    with structlog.contextvars.bound_contextvars(
        workflow_id="support/refund",
        organization_id="o",
        execution_id=EXECUTION,
        task_id="t",
        correlation_id="c",
    ):
        get_logger().info("x")
    (line,) = lines(capsys)
    assert line["workflowId"] == "support/refund"
    assert line["executionId"] == str(EXECUTION)
    assert {"organizationId", "taskId", "correlationId"} <= line.keys()
    assert "execution_id" not in line


def test_a_line_carries_the_trace_it_was_written_in(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("executor", LogSettings())
    parent = new_traceparent(sampled=True)
    get_logger().info("outside")
    with span("work", parent_traceparent=parent):
        get_logger().info("inside")
        assert current_traceparent() == parent
    outside, inside = lines(capsys)
    assert "trace_id" not in outside
    assert (inside["trace_id"], inside["span_id"]) == (parent[3:35], parent[36:52])


@pytest.mark.parametrize(
    "value",
    ["\ud800", 2**70, {1: "one"}, {("a", 1): "tuple"}, float("inf"), object(), b"bytes", {1, 2}],
)
def test_a_value_that_json_has_no_form_for_still_makes_a_line(
    value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("executor", LogSettings())
    get_logger().info("odd", value=value)
    (line,) = lines(capsys)
    assert line["event"] == "odd"


def test_levels_below_the_setting_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("executor", LogSettings(log_level="warning"))
    get_logger().info("quiet")
    get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_an_exception_comes_with_its_traceback_on_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("executor", LogSettings())
    try:
        raise RuntimeError("gone")
    except RuntimeError:
        get_logger().exception("job_failed")
    (line,) = lines(capsys)
    assert "RuntimeError: gone" in str(line["exception"])


def test_libraries_speak_through_the_same_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("gateway", LogSettings())
    logging.getLogger("aiohttp.server").error("bad %s", "request")
    logging.getLogger("aiohttp.access").info("not shown")
    (line,) = lines(capsys)
    assert (line["event"], line["logger"], line["level"]) == (
        "bad request",
        "aiohttp.server",
        "error",
    )


def test_the_console_format_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("gateway", LogSettings(log_format="console"))
    get_logger().info("service_started", port=3000)
    output = capsys.readouterr().out
    assert "service_started" in output
    assert not output.startswith("{")


def test_a_reader_that_went_away_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedPipe:
        buffer: "ClosedPipe"

        def write(self, _line: bytes) -> int:
            raise BrokenPipeError

        def flush(self) -> None: ...

    pipe = ClosedPipe()
    pipe.buffer = pipe
    monkeypatch.setattr("sys.stdout", pipe)
    configure_logging("gateway", LogSettings())
    get_logger().info("nobody_reads")


def test_debug_is_turned_on_and_off_while_the_process_runs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("executor", LogSettings(log_level="error"))
    log = get_logger()
    log.warning("unseen")
    toggle_debug()
    log.debug("seen")
    toggle_debug()
    log.warning("unseen")
    log.error("failed")
    assert [line["event"] for line in lines(capsys)] == ["seen", "failed"]


def test_a_process_that_began_at_debug_goes_to_info_and_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("executor", LogSettings(log_level="debug"))
    toggle_debug()
    get_logger().debug("unseen")
    toggle_debug()
    get_logger().debug("seen")
    assert [line["event"] for line in lines(capsys)] == ["seen"]


def test_the_signal_turns_debug_on_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGUSR1)
    configure_logging("executor", LogSettings())
    toggle_debug_on_signal()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for thread in threading.enumerate():
            if thread.name == "log-level":
                thread.join()
        get_logger().debug("seen")
    finally:
        signal.signal(signal.SIGUSR1, before)
    changed, seen = lines(capsys)
    assert (changed["event"], changed["to"]) == ("log_level_changed", "debug")
    assert seen["event"] == "seen"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_reaches_a_line_wherever_it_is_quoted(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = GatewaySettings.model_validate(
        {
            "log_format": log_format,
            "jwt_secret": SecretStr("signing-key-of-32-characters-or-more"),
            "redis_password": SecretStr("correct horse battery"),
        }
    )
    configure_logging("gateway", settings)
    try:
        raise ConnectionError("rediss://kwe:hush-hush@redis:6379 refuses correct horse battery")
    except ConnectionError:
        get_logger().exception(
            "connection_failed",
            headers={"Authorization": "Bearer abcdefghijklmnop", "Accept": "*/*"},
            password="x",
            said=["signing-key-of-32-characters-or-more", "kwe_" + "0a" * 16 + "_" + "Z" * 43],
        )
    text = capsys.readouterr().out
    assert "connection_failed" in text
    for secret in ("hush-hush", "horse", "abcdefgh", "signing-key", "ZZZZ"):
        assert secret not in text


def test_contents_are_withheld_unless_they_are_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    quoted = "the row is refused\nDETAIL: Failing row contains (my diagnosis)."
    for asked in (False, True):
        configure_logging("executor", LogSettings(log_level="debug", log_contents=asked))
        assert contents_are_logged() is asked
        get_logger().debug("asked", prompt="my diagnosis", documents=3, error=quoted)
    withheld, shown = lines(capsys)
    assert (withheld["prompt"], withheld["documents"]) == ("[withheld]", 3)
    assert "diagnosis" not in str(withheld)
    assert (shown["prompt"], shown["error"]) == ("my diagnosis", quoted)


def test_contents_are_not_logged_at_info_even_when_they_are_allowed() -> None:
    configure_logging("executor", LogSettings(log_contents=True))
    assert not contents_are_logged()


async def test_bytes_that_are_no_request_fill_no_log_with_tracebacks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("gateway", LogSettings())
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = await reader.read()
        writer.close()
    finally:
        await runner.cleanup()
    assert answer.split()[1] == b"400"
    (line,) = lines(capsys)
    assert (line["level"], line["event"]) == ("info", "request_unreadable")
    assert line["detail"] == "LineTooLong"
    assert not {"exception", "traceback"} & set(line)
