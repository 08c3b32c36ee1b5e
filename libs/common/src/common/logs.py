"""One JSON object per line on standard output, with the trace it belongs to.

Keys: `timestamp, level, event, service`, the identity that the edge has bound (`workflowId, organizationId,
executionId, taskId, correlationId`), `trace_id, span_id`, and what the line itself says. `event` is a fact in
snake_case, never a sentence. Code binds identity in Python's spelling; the line has JSON's.

SIGUSR1 turns `debug` on, and off again: a process is looked into without a restart, by whoever may signal it.
Secrets are taken out of every line, and prompts, answers and document texts unless `LOG_CONTENTS` asks for them.
"""

import contextlib
import json
import logging
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Any

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from common.metrics import LOGGED
from common.redaction import Redactor, secrets_of
from common.settings import LogSettings
from common.telemetry import current_ids

_JSON_NAMES: Mapping[str, str] = {
    "workflow_id": "workflowId",
    "organization_id": "organizationId",
    "execution_id": "executionId",
    "task_id": "taskId",
    "correlation_id": "correlationId",
}

_REPORTED_LEVELS = frozenset({"error", "exception", "critical"})

ErrorReporter = Callable[[BaseException, Mapping[str, Any]], None]

get_logger = structlog.stdlib.get_logger


def configure_logging(service: str, settings: LogSettings) -> None:
    """Set up structlog, and let the standard library's loggers speak through it. Call once, at start-up."""
    _Level.configured = getattr(logging, settings.log_level.upper())
    console = settings.log_format == "console"
    redactor = Redactor(secrets_of(settings), contents=settings.log_contents)
    structlog.configure(
        processors=_processors(service, redactor, console=console),
        wrapper_class=_LeveledLogger,
        logger_factory=(structlog.PrintLoggerFactory(sys.stdout) if console else _LineLogger),
        cache_logger_on_first_use=True,
    )
    logging.getLogger().handlers = [_Bridge()]
    _Level.redactor = redactor
    set_level(_Level.configured)


class _Level:
    """What is logged now, and what the settings say. One per process."""

    configured = logging.INFO
    current = logging.INFO
    redactor = Redactor()


def set_level(level: int) -> None:
    """Log from this level on, from the next line on."""
    _Level.current = level
    # Libraries are quieter than we are: their `info` is rarely a fact about our work.
    logging.getLogger().setLevel(
        max(level, logging.WARNING) if level > logging.DEBUG else logging.INFO
    )


def level_name() -> str:
    return logging.getLevelName(_Level.current).lower()


def toggle_debug() -> None:
    """To `debug`, or back to what the settings say."""
    is_debug = _Level.current == logging.DEBUG
    back = _Level.configured if _Level.configured > logging.DEBUG else logging.INFO
    set_level(back if is_debug else logging.DEBUG)


def toggle_debug_on_signal() -> None:
    """Let SIGUSR1 call `toggle_debug`; only in the main thread, and only where there is such a signal."""
    if hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, _on_signal)


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    toggle_debug()
    # In a thread of its own: the signal may have come in the middle of writing another line.
    threading.Thread(target=_say_level, name="log-level", daemon=True).start()


def _say_level() -> None:
    """A warning, because from here on there is more, or less, to be read."""
    level = logging.getLevelName(_Level.current).lower()
    get_logger(__name__).warning("log_level_changed", to=level)


def contents_are_logged() -> bool:
    """Whether prompts, answers and texts may be logged: asked for, and at the level `debug`."""
    return _Level.current <= logging.DEBUG and _Level.redactor.shows_contents


class _LeveledLogger(structlog.make_filtering_bound_logger(logging.DEBUG)):  # type: ignore[misc]  # made at run time
    """structlog fixes the level when a logger is first used; this asks each time, for 0.1 µs."""

    def debug(self, event: str | None = None, *arguments: Any, **fields: Any) -> Any:
        if _Level.current <= logging.DEBUG:
            return super().debug(event, *arguments, **fields)
        return None

    def info(self, event: str | None = None, *arguments: Any, **fields: Any) -> Any:
        if _Level.current <= logging.INFO:
            return super().info(event, *arguments, **fields)
        return None

    def warning(self, event: str | None = None, *arguments: Any, **fields: Any) -> Any:
        if _Level.current <= logging.WARNING:
            return super().warning(event, *arguments, **fields)
        return None

    def log(self, level: int, event: str | None = None, *arguments: Any, **fields: Any) -> Any:
        if _Level.current <= level:
            return super().log(level, event, *arguments, **fields)
        return None


def _processors(service: str, redactor: Redactor, *, console: bool) -> list[Processor]:
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        count_lines,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Service(service),
        add_trace,
        report_error,
        # In both forms: the console's own tracebacks show local variables, and so prompts and documents.
        structlog.processors.format_exc_info,
        _Redaction(redactor),
    ]
    if console:
        return [*shared, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())]
    return [*shared, json_names, render_json]


class _LineLogger:
    """Writes finished lines. Where nobody reads them any more, work goes on without."""

    def __init__(self, *_arguments: Any) -> None:
        self._stream = sys.stdout.buffer

    def msg(self, line: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(line + b"\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = log = msg


class _Service:
    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        return event


class _Redaction:
    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return dict(self._redactor.line(event))


_COUNTED = {level: LOGGED.labels(level) for level in ("warning", "error", "critical")}


def count_lines(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Warnings and errors are metrics too: an alert needs no search engine for logs."""
    if (counter := _COUNTED.get(event["level"])) is not None:
        counter.inc()
    return event


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Let a line be found from its trace, and the trace from the line."""
    if (ids := current_ids()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event


class _Reporting:
    """Who else is told of errors. One per process, set at start-up."""

    reporter: ErrorReporter | None = None


def set_error_reporter(reporter: ErrorReporter | None) -> None:
    """Have every line of level `error` that carries an exception passed on as well."""
    _Reporting.reporter = reporter


def report_error(_logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    reporter = _Reporting.reporter
    if reporter is None or method not in _REPORTED_LEVELS or not event.get("exc_info"):
        return event
    given = event["exc_info"]
    if isinstance(given, tuple):
        given = given[1]
    error = given if isinstance(given, BaseException) else sys.exc_info()[1]
    if error is not None:
        reporter(error, event)
    return event


def json_names(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    for name, renamed in _JSON_NAMES.items():
        if name in event:
            event[renamed] = event.pop(name)
    return event


def render_json(_logger: WrappedLogger, _method: str, event: EventDict) -> bytes:
    """Never raises for a value: a log line that cannot be written must not stop the work it speaks of."""
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # Lone surrogates and integers over 64 bits: the standard library writes both, only slowly.
        return json.dumps(event, default=repr, skipkeys=True).encode()


class _Bridge(logging.Handler):
    """What libraries log through `logging` comes out as one of our lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            logger = structlog.get_logger().bind(logger=record.name)
            problem = _not_http(record)
            if problem is not None:
                logger.info("request_unreadable", detail=problem)
            else:
                logger.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
        except Exception:
            self.handleError(record)


def _not_http(record: logging.LogRecord) -> str | None:
    """What is wrong with bytes that a client sent and that are no request; aiohttp has answered 400.

    Whoever scans our ports must not fill the log with tracebacks. Nor is it said what they sent: it may be a secret.
    """
    error = record.exc_info[1] if record.exc_info else None
    if record.name != "aiohttp.server" or not 400 <= getattr(error, "code", 500) < 500:
        return None
    return type(error).__name__
