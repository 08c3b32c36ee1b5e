"""What a provider of language models is to us, and how the failures of their SDKs become ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from common.serving.failures import FunctionError
from executor.llm.request import LlmRequest
from executor.retry_after import retry_after_seconds

OnText = Callable[[str], None]
"""Told of every piece of text as it comes. Never blocks."""

SILENCE_SECONDS_MAX = 120.0
"""How long a provider may say nothing in the middle of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Settings of one call, defaults filled in."""

    model: str
    temperature: float | None
    """None: the model's own."""

    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    input_tokens: int = 0
    output_tokens: int = 0

    def as_json(self) -> dict[str, int]:
        return {"inputTokens": self.input_tokens, "outputTokens": self.output_tokens}


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole answer."""

    text: str
    model: str
    finish_reason: str
    """stop, length, tool_calls or content_filter."""

    usage: Usage
    json_text: str | None = None
    """Where structured output was asked for: the JSON, not yet parsed."""

    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    """`{id, name, arguments}` each."""

    extra: dict[str, Any] = field(default_factory=dict)
    """What only this provider can tell, such as citations."""


class Provider(Protocol):
    """A source of completions."""

    name: str

    def sampling(self, request: LlmRequest, *, use_model: bool) -> Sampling:
        """The task's wishes over the settings. `use_model=False` ignores the model it names."""
        ...

    async def complete(
        self, request: LlmRequest, sampling: Sampling, on_text: OnText
    ) -> Completion:
        """Raise `FunctionError`; no exception of a vendor escapes."""
        ...

    async def close(self) -> None: ...


def status_failure(provider: str, status: int, headers: Any, reason: str) -> FunctionError:
    """What an HTTP status of a provider means. Its own text is shortened: it may quote the prompt."""
    overloaded = status in {408, 409, 425, 429} or status >= 500 or status < 400
    kind = {401: "authentication", 403: "authorization"}.get(status, "communication")
    return FunctionError(
        f"{provider} answered {status}: {reason[:200]}",
        type=kind,
        # An error in the middle of a stream has the stream's status; 529 is Anthropic's word for overload.
        status=status if status >= 400 else 503,
        retryable=overloaded,
        retry_after=retry_after_seconds(headers),
    )


def connection_failure(provider: str, error: Exception) -> FunctionError:
    return FunctionError(
        f"{provider} could not be reached, or stopped in the middle: {type(error).__name__}",
        type="communication",
        status=503,
    )


def cut_stream(provider: str) -> FunctionError:
    return FunctionError(
        f"{provider} ended its answer before it was complete", type="communication", status=502
    )


def not_configured(provider: str, variable: str) -> FunctionError:
    return FunctionError(
        f"{provider} cannot be used: {variable} is not set for this executor.",
        type="configuration",
        retryable=False,
    )


def is_transport_error(error: Exception) -> bool:
    """SDKs let errors of their HTTP library through while a stream is read."""
    return type(error).__module__.partition(".")[0] in {"httpx", "httpx2", "httpcore", "httpcore2"}
