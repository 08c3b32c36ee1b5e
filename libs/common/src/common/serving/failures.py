"""How a task fails: the language's error types, and the exception that functions raise on purpose."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

ERROR_TYPE_BASE: Final = "https://open-workflow-specification.org/spec/1.0.0/errors/"

DEFAULT_STATUS: Final = {
    "configuration": 400,
    "validation": 400,
    "expression": 400,
    "authentication": 401,
    "authorization": 403,
    "timeout": 408,
    "communication": 500,
    "runtime": 500,
}

DETAIL_LENGTH_MAX: Final = 2000
"""An error is kept in the history for the life of the execution."""


class FunctionError(Exception):
    """Fail the task with an error of the language (RFC 7807), and say whether another try may help."""

    def __init__(
        self,
        detail: str,
        *,
        type: str = "runtime",
        status: int | None = None,
        title: str = "",
        retryable: bool = True,
        retry_after: float | None = None,
        usage: Any = None,
    ) -> None:
        """`type` is one of the language's (`runtime`, `communication`, …) or a URI of your own.

        `retry_after` are the seconds that the other side asked us to wait. `usage` is what the try cost although
        it failed.
        """
        super().__init__(detail)
        self.detail = detail
        self.type = type
        self.status = status if status is not None else DEFAULT_STATUS.get(type, 500)
        self.title = title or _title(type, self.status)
        self.retryable = retryable
        self.retry_after = retry_after
        self.usage = usage

    def as_error(self) -> dict[str, Any]:
        return {
            "type": ERROR_TYPE_BASE + self.type
            if self.type in DEFAULT_STATUS
            else clipped(self.type),
            "status": self.status,
            "title": clipped(self.title),
            "detail": clipped(self.detail),
        }


def clipped(detail: str) -> str:
    """`detail` as it may be stored: bounded, and without what PostgreSQL's jsonb refuses."""
    clean = detail.replace("\x00", "").encode(errors="replace").decode()
    return clean if len(clean) <= DETAIL_LENGTH_MAX else clean[: DETAIL_LENGTH_MAX - 1] + "…"


def _title(type: str, status: int) -> str:
    if type == "communication":
        try:
            return HTTPStatus(status).phrase
        except ValueError:
            pass
    return f"{type.capitalize()} error" if type in DEFAULT_STATUS else "Error"
