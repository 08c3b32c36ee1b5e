"""Errors as one clear line and an exit code."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Coroutine, Iterator
from typing import Any, Final, TypeVar

import click

from kwe import errors

T = TypeVar("T")

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
TIMED_OUT: Final = 5
INTERRUPTED: Final = 130

LINE_CHARACTERS_MAX: Final = 400
PARTS: Final = frozenset(
    {"common", "embedded", "executor", "gateway", "knowledge", "orchestrator", "workflow"}
)


class UsageProblem(click.ClickException):
    """What the caller gave cannot be used: a file, an input, a setting."""

    exit_code = USAGE


class CommandFailed(click.ClickException):
    """The command was understood, and its work failed."""

    exit_code = FAILED


_CODES: Final[tuple[tuple[type[errors.KweError], int], ...]] = (
    (errors.NotFound, NOT_FOUND),
    (errors.NotAuthenticated, NOT_ALLOWED),
    (errors.NotAllowed, NOT_ALLOWED),
    (errors.NotConfigured, NOT_ALLOWED),
    (errors.TimedOut, TIMED_OUT),
    (errors.InvalidRequest, USAGE),
    (errors.Unreachable, USAGE),
    (errors.Unusable, USAGE),
)


def exit_code_of(error: BaseException) -> int:
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case click.Abort() | KeyboardInterrupt():
            return INTERRUPTED
        case click.ClickException():
            return error.exit_code
        case SystemExit():
            return error.code if isinstance(error.code, int) else FAILED
        case errors.KweError():
            return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
        case _ if is_operators(error) or _missing_part(error):
            return USAGE
        case _:
            return FAILED


def report(error: BaseException) -> None:
    """Say on standard error what went wrong."""
    match error:
        case click.exceptions.Exit() | SystemExit():
            return
        case click.Abort() | KeyboardInterrupt():
            _say("interrupted")
        case click.UsageError():
            error.show()
        case click.ClickException():
            _say(error.format_message())
        case errors.KweError():
            _say("\n".join(_lines(error)))
        case _ if is_operators(error):
            _say("\n".join(_shortened(line) for line in str(error).splitlines()))
        case _ if _missing_part(error):
            _say(f"this command needs more than the client: pip install 'kwe-sdk[all]' ({error})")
        case _:
            _report_bug(error)


def is_operators(error: BaseException) -> bool:
    """Whether an operator can mend it: a taken port, a missing setting, a database that is away."""
    # Looked up rather than imported: where these modules were not loaded, the error cannot be theirs.
    for module, name in (
        ("embedded.errors", "EmbeddedError"),
        ("common.errors", "ConfigurationError"),
    ):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return True
    return False


def _missing_part(error: BaseException) -> bool:
    """The client alone is installed, without the engine."""
    return isinstance(error, ModuleNotFoundError) and error.name in PARTS


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        raise _first_of(group) from group


def _first_of(group: BaseExceptionGroup[Any]) -> BaseException:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _lines(error: errors.KweError) -> Iterator[str]:
    # The places follow on lines of their own.
    has_places = isinstance(error, errors.ApiError) and error.errors
    yield str(error).partition(" The first: ")[0] if has_places else str(error)
    if isinstance(error, errors.ApiError):
        for one in error.errors:
            yield f"  {_place(one)}: {one.get('message') or one.get('detail')}{_advice(one)}"
    if isinstance(error, errors.NotAuthenticated):
        yield "  set KWE_API_KEY, or start `kwe up` in this folder again to renew .kwe/credentials"


def _shortened(line: str) -> str:
    """A quoted log may hold lines of any length; the message names the file that has them whole."""
    return line if len(line) <= LINE_CHARACTERS_MAX else f"{line[:LINE_CHARACTERS_MAX]}…"


def _place(problem: Any) -> str:
    line, pointer = problem.get("line"), problem.get("pointer") or "/"
    return f"line {line}, column {problem.get('column')}, {pointer}" if line else str(pointer)


def _advice(problem: Any) -> str:
    advice = problem.get("advice")
    return f" ({advice})" if advice else ""


def _report_bug(error: BaseException) -> None:
    if os.environ.get("KWE_DEBUG"):
        traceback.print_exception(error)
        return
    _say(f"unexpected {type(error).__name__}: {error}. KWE_DEBUG=1 shows where.")


def _say(message: str) -> None:
    click.echo(click.style("error: ", fg="red") + message, err=True, color=_colours())


def _colours() -> bool | None:
    return False if os.environ.get("NO_COLOR") else None
