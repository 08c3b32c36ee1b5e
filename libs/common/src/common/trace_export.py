"""Where traces go, and which: the standard `OTEL_…` variables, and the `APM_…` ones that deployments had before.

What is decided here is decided once, at start-up. The exporter reads the rest of its variables (compression,
certificate, …) itself, and the batch processor reads its own.
"""

import os
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from common.release import version
from common.settings import TelemetrySettings

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

EXPORT_SECONDS: Final = 5.0
"""Unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise."""


def is_wanted(settings: TelemetrySettings) -> bool:
    """Whether there is an address, and nothing switches tracing off."""
    return (
        _endpoint(settings) is not None
        and settings.apm_enabled
        and not settings.otel_sdk_disabled
        and settings.otel_traces_exporter != "none"
        and settings.otel_traces_sampler != "always_off"
    )


def ratio_of(settings: TelemetrySettings) -> float:
    """The share of new traces that is recorded."""
    match settings.otel_traces_sampler.removeprefix("parentbased_"):
        case "always_on":
            return 1.0
        case "always_off":
            return 0.0
        case _:
            return settings.otel_traces_sampler_arg


def provider_of(service: str, settings: TelemetrySettings, *, environment: str) -> "TracerProvider":
    """What makes spans and sends them, in a thread of its own."""
    # Imported here: the SDK and its exporter cost 15 MB that an installation without tracing need not pay.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    provider = TracerProvider(
        resource=_resource(service, settings, environment),
        # Whether a span is recorded is decided in `telemetry.span`, before the SDK is asked.
        sampler=ALWAYS_ON,
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(
        endpoint=_endpoint(settings),
        headers=_headers(settings),
        timeout=None if "OTEL_EXPORTER_OTLP_TIMEOUT" in os.environ else EXPORT_SECONDS,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _resource(service: str, settings: TelemetrySettings, environment: str) -> "Resource":
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    ours = {
        "service.name": settings.otel_service_name
        or f"{settings.apm_service_name or 'kwe'}-{service}",
        "service.version": version(),
        "service.namespace": "kwe",
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
    }
    if environment:
        ours["deployment.environment.name"] = environment
    # What the operator says in OTEL_RESOURCE_ATTRIBUTES is better known than what we guess.
    return Resource.create({**ours, **OTELResourceDetector().detect().attributes})


def _endpoint(settings: TelemetrySettings) -> str | None:
    """The variable for traces is an address as it stands; the general ones are where paths begin."""
    if settings.otel_exporter_otlp_traces_endpoint is not None:
        return settings.otel_exporter_otlp_traces_endpoint
    base = settings.otel_exporter_otlp_endpoint or settings.apm_server_url
    return None if base is None else f"{base.rstrip('/')}/v1/traces"


def _headers(settings: TelemetrySettings) -> dict[str, str]:
    given = settings.otel_exporter_otlp_headers
    pairs = (pair.partition("=") for pair in given.get_secret_value().split(",")) if given else ()
    return {
        name.strip().lower(): unquote(value.strip()) for name, _, value in pairs if name.strip()
    }
