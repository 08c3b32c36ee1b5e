"""Errors of the language: RFC 7807 objects, their types, and how a filter matches them.

A failure is an outcome, not an exception of ours: it is recorded, shown, caught by `try` tasks.
`TaskFault` carries one from where an evaluation found it to where the turn records it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from workflow.core.values import Json

ERROR_TYPES = "https://open-workflow-specification.org/spec/1.0.0/errors/"

# The specification moved to a new host, and its examples use two paths: all mean the same type.
_HOSTS = ("https://open-workflow-specification.org/", "https://serverlessworkflow.io/")
_PATHS = ("spec/1.0.0/errors/", "dsl/errors/types/")
_STANDARD_PREFIXES = tuple(host + path for host in _HOSTS for path in _PATHS)


class _Kind(NamedTuple):
    word: str
    status: int
    title: str


class ErrorKind(_Kind, Enum):
    """The standard errors that the core itself raises."""

    CONFIGURATION = ("configuration", 400, "Configuration error")
    VALIDATION = ("validation", 400, "Validation error")
    EXPRESSION = ("expression", 400, "Expression error")
    TIMEOUT = ("timeout", 408, "Timeout")
    RUNTIME = ("runtime", 500, "Runtime error")


def error_of(kind: ErrorKind, detail: str) -> dict[str, Json]:
    return {
        "type": ERROR_TYPES + kind.word,
        "status": kind.status,
        "title": kind.title,
        "detail": detail,
    }


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a task did not succeed, and what may be done about it."""

    error: dict[str, Json]
    retry_after_ms: int | None = None
    """The other side asked for at least this pause."""
    retryable: bool = True
    """False when trying again cannot help, whatever a policy says."""

    def at(self, pointer: str) -> Failure:
        """The same failure, its error saying where in the document it arose."""
        if "instance" in self.error:
            return self
        located = {**self.error, "instance": pointer}
        return Failure(located, self.retry_after_ms, self.retryable)


class TaskFault(Exception):
    """Ends the task at work with a failure."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure.error.get("detail", "")))
        self.failure = failure


def fault(kind: ErrorKind, detail: str) -> TaskFault:
    return TaskFault(Failure(error_of(kind, detail)))


def matches(wanted: Mapping[str, Json], error: Mapping[str, Json]) -> bool:
    """Whether an error has every property of a `catch.errors.with` filter."""
    for name, value in wanted.items():
        actual = error.get(name)
        if name == "type":
            if canonical_type(str(value)) != canonical_type(str(actual)):
                return False
        elif actual != value:
            return False
    return True


def canonical_type(uri: str) -> str:
    for prefix in _STANDARD_PREFIXES:
        if uri.startswith(prefix):
            return ERROR_TYPES + uri.removeprefix(prefix)
    return uri
