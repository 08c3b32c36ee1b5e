"""Traces that cross streams, at next to no cost where nobody records them.

Theory of operation
-------------------
The current position in a trace is one W3C `traceparent` string in a context variable. Logs, messages and stored
rows take it from there, whether or not tracing is on, so that they correlate in every installation.

A span is recorded by the OpenTelemetry SDK only if tracing is configured *and* its trace is sampled. That is decided
once, where a trace begins, by a ratio; everybody further on obeys the flag in the `traceparent`. An unrecorded
span touches one context variable and nothing else: no SDK object, no identifier, no clock.

Recorded spans are also made current for the OpenTelemetry API, so that libraries which trace themselves nest
correctly below ours.
"""

import random
import re
import threading
from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanContext, SpanKind, TraceFlags
from opentelemetry.util.types import AttributeValue

from common import trace_export
from common.redaction import is_hiding
from common.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = [
    "SpanKind",
    "configure_tracing",
    "current_ids",
    "current_traceparent",
    "is_traceparent",
    "new_traceparent",
    "of_caller",
    "record_span",
    "shutdown_tracing",
    "span",
]

Attributes = Mapping[str, AttributeValue]

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_FLUSH_SECONDS: Final = 3.0

_current: ContextVar[str] = ContextVar("traceparent", default="")


class _Tracing:
    """What this process was configured with. One per process, set at start-up."""

    tracer: trace.Tracer | None = None
    provider: "TracerProvider | None" = None
    ratio: float = 0.0
    obeys_callers: bool = True


def configure_tracing(service: str, settings: TelemetrySettings, *, environment: str = "") -> bool:
    """Start exporting, where an endpoint is set. Says whether it did."""
    if not trace_export.is_wanted(settings):
        return False
    provider = trace_export.provider_of(service, settings, environment=environment)
    _Tracing.provider, _Tracing.tracer = provider, provider.get_tracer("kwe")
    _Tracing.ratio = trace_export.ratio_of(settings)
    _Tracing.obeys_callers = settings.otel_traces_sampler.startswith("parentbased_")
    return True


def shutdown_tracing(timeout_seconds: float = _FLUSH_SECONDS) -> None:
    """Export what is buffered, for at most `timeout_seconds`; a collector that hangs is abandoned."""
    provider = _Tracing.provider
    _Tracing.provider = _Tracing.tracer = None
    if provider is None:
        return
    # A daemon thread, because the exporter's own timeouts add up to more than a pod's grace period.
    flush = threading.Thread(target=provider.shutdown, name="trace-flush", daemon=True)
    flush.start()
    flush.join(timeout_seconds)


def new_traceparent(*, sampled: bool) -> str:
    """The beginning of a trace that nobody has recorded yet."""
    # Not secret, only unique: `random` is a tenth of the cost of the system's source.
    trace_id = random.getrandbits(128) or 1
    span_id = random.getrandbits(64) or 1
    return f"00-{trace_id:032x}-{span_id:016x}-{'01' if sampled else '00'}"


def current_traceparent() -> str:
    """What to send along and to store. Begins a trace where none has begun."""
    return _current.get() or new_traceparent(sampled=_begins_sampled())


def current_ids() -> tuple[str, str] | None:
    """Trace id and span id in hexadecimal, or `None` outside any trace."""
    position = _current.get()
    return (position[3:35], position[36:52]) if position else None


def _begins_sampled() -> bool:
    return _Tracing.tracer is not None and random.random() < _Tracing.ratio  # noqa: S311


def of_caller(traceparent: str | None) -> str | None:
    """A caller's position, which is in its trace; whether that is recorded here, the sampler may decide anew."""
    if traceparent is None or not is_traceparent(traceparent) or _Tracing.obeys_callers:
        return traceparent
    return f"{traceparent[:53]}{'01' if _begins_sampled() else '00'}"


def is_traceparent(text: str) -> bool:
    return _TRACEPARENT.fullmatch(text) is not None


def _is_sampled(traceparent: str) -> bool:
    return int(traceparent[53:55], 16) & TraceFlags.SAMPLED != 0


def span(
    name: str,
    *,
    parent_traceparent: str | None = None,
    links: Iterable[str] = (),
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
    root: bool = False,
) -> "_SpanScope":
    """Make a span current for the block; `with span(…) as recorded: recorded.set_attribute(…)`.

    The parent is `parent_traceparent`, else the current span, else a new trace begins. `root` begins a new
    trace anyway; it is recorded if one of the traces in `links` is. A malformed `traceparent` is ignored, as
    the W3C recommendation asks. An exception that leaves the block is recorded and goes on.
    """
    return _SpanScope(name, parent_traceparent, tuple(links), kind, attributes, root)


def record_span(
    name: str,
    *,
    parent_traceparent: str,
    start_ns: int,
    end_ns: int,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Attributes | None = None,
) -> None:
    """Record what is already over, such as the time that a message waited. Current spans stay as they are."""
    tracer = _Tracing.tracer
    if (
        tracer is None
        or not is_traceparent(parent_traceparent)
        or not _is_sampled(parent_traceparent)
    ):
        return
    recorded = tracer.start_span(
        name,
        context=_context_below(parent_traceparent),
        kind=kind,
        attributes=attributes,
        start_time=start_ns,
    )
    recorded.end(end_time=end_ns)


@dataclass(slots=True)
class _SpanScope:
    name: str
    parent: str | None
    links: tuple[str, ...]
    kind: SpanKind
    attributes: Attributes | None
    root: bool
    _token: Token[str] | None = None
    _otel_token: Token[otel_context.Context] | None = None
    _recorded: Span | None = None

    def __enter__(self) -> Span:
        parent, links = self.parent, self.links
        if parent is None or not is_traceparent(parent):
            parent = "" if self.root else _current.get()
        tracer = _Tracing.tracer
        if tracer is None or not _wants_recording(parent, links):
            self._token = _current.set(parent or new_traceparent(sampled=False))
            if tracer is not None and trace.get_current_span() is not trace.INVALID_SPAN:
                # What happens in here belongs to another, unrecorded trace.
                self._otel_token = otel_context.attach(otel_context.Context())
            return trace.INVALID_SPAN
        recorded = tracer.start_span(
            self.name,
            context=_context_below(parent),
            kind=self.kind,
            attributes=self.attributes,
            links=[Link(_parse(link)) for link in links if is_traceparent(link)],
        )
        self._recorded = recorded
        self._otel_token = otel_context.attach(trace.set_span_in_context(recorded))
        self._token = _current.set(_format(recorded.get_span_context()))
        return recorded

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._token is not None
        _current.reset(self._token)
        if self._otel_token is not None:
            otel_context.detach(self._otel_token)
        if self._recorded is not None:
            # Cancellation is how work ends here, not a fault of it.
            if isinstance(error, Exception):
                if not is_hiding():  # it may quote them
                    self._recorded.record_exception(error)
                self._recorded.set_status(trace.StatusCode.ERROR, type(error).__name__)
            self._recorded.end()


def _wants_recording(parent: str, links: tuple[str, ...]) -> bool:
    if parent:
        return _is_sampled(parent)
    if links:
        return any(is_traceparent(link) and _is_sampled(link) for link in links)
    return _begins_sampled()


def _context_below(parent: str) -> otel_context.Context:
    context = otel_context.Context()
    return (
        trace.set_span_in_context(NonRecordingSpan(_parse(parent)), context) if parent else context
    )


def _parse(traceparent: str) -> SpanContext:
    return SpanContext(
        trace_id=int(traceparent[3:35], 16),
        span_id=int(traceparent[36:52], 16),
        is_remote=True,
        trace_flags=TraceFlags(int(traceparent[53:55], 16)),
    )


def _format(position: SpanContext) -> str:
    return f"00-{position.trace_id:032x}-{position.span_id:016x}-{position.trace_flags:02x}"
