"""Errors, sorted by what the caller should do next.

EngineError                the base: `code` is stable and documented, the text is for people
├── InvalidRequest     400 change the request: it cannot be read
├── Unprocessable      422 change the request: it can be read, but not be done
├── Unauthenticated    401 say who you are
├── Forbidden          403 ask for more rights
├── NotFound           404 look elsewhere; also what other organisations' objects look like
├── Conflict           409 your picture is out of date: reload, then decide again
├── TooLarge           413 send less, or in pieces
├── TooManyRequests    429 your own limit is reached: wait `retry_after`, then repeat
├── Unavailable        503 nothing is wrong with the request: wait `retry_after`, then repeat
│   └── OutcomeUnknown 503 it may have happened: repeat with the same idempotency key
├── ImpossibleEvent    500 a bug: stop working on this execution and tell an operator
└── ConfigurationError 500 the operator must change a setting; ends the process with exit code 2

A task that fails is not an error in this sense. It is an outcome, recorded in the execution's history.
Secrets, prompts and document text never enter `detail`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

CODE_INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Violation:
    """One place of a request that is wrong."""

    pointer: str
    """JSON pointer into the body, or the name of the parameter or header."""

    detail: str
    """What is wrong there, and what would be right."""

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "detail": self.detail}


class EngineError(Exception):
    """Base of every exception raised on purpose."""

    code: str = CODE_INTERNAL
    """Stable and documented. A subclass has one, and an instance may carry a narrower one."""

    http_status: ClassVar[int] = 500

    title: ClassVar[str] = "Internal error"
    """What RFC 9457 calls the title: the same for every error of the class."""

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        errors: Sequence[Violation] = (),
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code
        self.retry_after = retry_after if retry_after is not None else self.retry_after_default
        self.errors = tuple(errors)
        self.extensions: Mapping[str, Any] = extensions or {}

    retry_after_default: ClassVar[float | None] = None
    """Seconds; what `retry_after` is where the raiser does not know better."""

    def as_problem(self) -> dict[str, Any]:
        """The RFC 9457 body. The caller adds `instance` and the trace id."""
        problem: dict[str, Any] = {
            "type": f"urn:kwe:error:{self.code}",
            "title": self.title,
            "status": self.http_status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            problem["errors"] = [violation.as_json() for violation in self.errors]
        if self.retry_after is not None:
            problem["retryAfter"] = self.retry_after
        return {**self.extensions, **problem}


class InvalidRequest(EngineError):
    code, http_status, title = "invalid_request", 400, "Invalid request"


class Unprocessable(EngineError):
    code, http_status, title = "unprocessable", 422, "Unprocessable request"


class Unauthenticated(EngineError):
    code, http_status, title = "unauthenticated", 401, "Not authenticated"


class Forbidden(EngineError):
    code, http_status, title = "forbidden", 403, "Not allowed"


class NotFound(EngineError):
    code, http_status, title = "not_found", 404, "Not found"


class Conflict(EngineError):
    code, http_status, title = "conflict", 409, "Conflict"


class TooLarge(EngineError):
    code, http_status, title = "too_large", 413, "Too large"


class TooManyRequests(EngineError):
    code, http_status, title = "too_many_requests", 429, "Too many requests"
    retry_after_default = 1.0


class Unavailable(EngineError):
    """Nothing was done. Safe to repeat as it is."""

    code, http_status, title = "unavailable", 503, "Temporarily unavailable"
    retry_after_default = 1.0


class OutcomeUnknown(Unavailable):
    """The request was sent on and no answer came. Only the same idempotency key makes repeating safe."""

    code, title = "outcome_unknown", "Outcome unknown"


class ImpossibleEvent(EngineError):
    """A bug somewhere else: what arrived could not have been produced for this execution."""

    code, http_status, title = "impossible_event", 500, "Impossible event"


class ConfigurationError(EngineError):
    """What the process was given cannot work. One clear message, no traceback."""

    code, http_status, title = "configuration", 500, "Wrong configuration"
    exit_code: ClassVar[int] = 2
