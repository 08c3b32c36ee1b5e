"""What can go wrong for a caller, sorted by what to do next.

KweError
├── NotConfigured     say where the server is, and who you are
├── Unusable          a file or folder that was named cannot be used
├── Unreachable       nobody answers at that address
├── ApiError          the server refused; `status`, `code` and `detail` say why
│   ├── InvalidRequest     400, 413, 415, 422  change the request; `errors` points at each place
│   ├── NotAuthenticated   401                 the credential is missing, wrong or expired
│   ├── NotAllowed         403                 the credential lacks a scope
│   ├── NotFound           404                 there is none, or it is not yours
│   ├── Conflict           409                 not in its present state
│   ├── TooManyRequests    429                 wait `retry_after` seconds
│   └── Unavailable        503 and other 5xx   wait `retry_after` seconds; the client has tried for a while
├── ExecutionFailed   the execution faulted or was cancelled; `execution` has the reason
└── TimedOut          it takes longer than you wanted to wait; it goes on without you
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kwe.client.models import Execution


class KweError(Exception):
    """Base of everything that is raised on purpose."""


class NotConfigured(KweError):
    pass


class Unusable(KweError):
    pass


class Unreachable(KweError):
    pass


class TimedOut(KweError):
    pass


class ExecutionFailed(KweError):
    def __init__(self, execution: Execution) -> None:
        error = execution.error or {}
        reason = error.get("detail") or error.get("title") or execution.status
        where = f" at {error['instance']}" if error.get("instance") else ""
        super().__init__(f"execution {execution.id} is {execution.status}{where}: {reason}")
        self.execution = execution


class ApiError(KweError):
    """An RFC 9457 problem."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code: str = str(problem.get("code", ""))
        self.detail: str = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        self.errors: Sequence[Mapping[str, Any]] = problem.get("errors") or ()
        self.request_id: str = str(problem.get("requestId", ""))
        self.retry_after: float | None = problem.get("retryAfter")
        self.problem = problem
        super().__init__(self.detail)


class InvalidRequest(ApiError):
    pass


class NotAuthenticated(ApiError):
    pass


class NotAllowed(ApiError):
    pass


class NotFound(ApiError):
    pass


class Conflict(ApiError):
    pass


class TooManyRequests(ApiError):
    pass


class Unavailable(ApiError):
    pass


_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
}


def api_error(status: int, problem: Mapping[str, Any]) -> ApiError:
    """The class that fits an answer's status."""
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else InvalidRequest)
    return kind(status, problem)
