"""One trace over every hop: recorded where tracing is on and sampled, carried along where it is not."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from common.settings import TelemetrySettings
from common.telemetry import (
    SpanKind,
    configure_tracing,
    current_ids,
    current_traceparent,
    is_traceparent,
    new_traceparent,
    of_caller,
    record_span,
    shutdown_tracing,
    span,
)


class Receiver:
    """An OTLP/HTTP peer that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: set[str] = set()
        self.attributes: dict[str, str] = {}
        self.endpoint = ""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        message = ExportTraceServiceRequest.FromString(body)
        for group in message.resource_spans:
            self.attributes |= {
                one.key: one.value.string_value for one in group.resource.attributes
            }
            self.services |= {
                one.value.string_value
                for one in group.resource.attributes
                if one.key == "service.name"
            }
            for scope in group.scope_spans:
                self.spans.extend(scope.spans)
        return web.Response(content_type="application/x-protobuf")

    def named(self, name: str) -> Span:
        (found,) = [one for one in self.spans if one.name == name]
        return found


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/v1/traces", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


def recording(receiver: Receiver, *, ratio: float = 1.0) -> None:
    settings = TelemetrySettings(
        otel_exporter_otlp_endpoint=receiver.endpoint, otel_traces_sampler_arg=ratio
    )
    assert configure_tracing("gateway", settings)


async def flush() -> None:
    """The exporter's thread needs this loop to answer it."""
    await asyncio.to_thread(shutdown_tracing, 10)


@pytest.fixture(autouse=True)
def tracing_off_afterwards() -> Iterator[None]:
    yield
    shutdown_tracing(0.1)


def test_tracing_is_off_without_an_endpoint_or_when_it_is_disabled() -> None:
    assert not configure_tracing("gateway", TelemetrySettings())
    disabled = TelemetrySettings(apm_server_url="http://127.0.0.1:9", apm_enabled=False)
    assert not configure_tracing("gateway", disabled)


def test_ids_still_correlate_when_tracing_is_off() -> None:
    assert current_ids() is None
    with span("outer") as recorded:
        outer = current_traceparent()
        assert not recorded.is_recording()
        assert is_traceparent(outer)
        with span("inner"):
            assert current_traceparent() == outer
    assert current_ids() is None


def test_a_callers_trace_is_carried_along_unchanged_when_tracing_is_off() -> None:
    parent = new_traceparent(sampled=True)
    with span("work", parent_traceparent=parent):
        assert current_traceparent() == parent


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "x",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "ff" * 30,
    ],
)
def test_a_malformed_traceparent_is_ignored(malformed: str) -> None:
    with span("work", parent_traceparent=malformed):
        assert is_traceparent(current_traceparent())


@given(st.booleans())
def test_new_traceparents_are_well_formed_and_differ(sampled: bool) -> None:
    first, second = new_traceparent(sampled=sampled), new_traceparent(sampled=sampled)
    assert is_traceparent(first)
    assert first != second
    assert first.endswith("01") is sampled


async def test_recorded_spans_form_one_tree_over_a_hop() -> None:
    async with running_receiver() as receiver:
        recording(receiver)
        with span("request", kind=SpanKind.SERVER, attributes={"http.route": "/v1/x"}):
            sent = current_traceparent()
            assert trace.get_current_span().is_recording()
        with span("turn", parent_traceparent=sent, kind=SpanKind.CONSUMER) as turn:
            turn.set_attribute("kwe.events", 3)
        await flush()
        request, hop = receiver.named("request"), receiver.named("turn")
        assert hop.trace_id == request.trace_id
        assert hop.parent_span_id == request.span_id
        assert sent[3:52] == f"{request.trace_id.hex()}-{request.span_id.hex()}"
        assert receiver.services == {"kwe-gateway"}


async def test_a_trace_that_the_caller_did_not_sample_is_not_recorded() -> None:
    async with running_receiver() as receiver:
        recording(receiver)
        parent = new_traceparent(sampled=False)
        with span("batch"), span("turn", parent_traceparent=parent) as recorded:
            assert not recorded.is_recording()
            assert current_traceparent() == parent
            # A library that traces itself must not hang its spans below the batch.
            assert not trace.get_current_span().is_recording()
        await flush()
        assert [one.name for one in receiver.spans] == ["batch"]


async def test_new_traces_are_recorded_by_ratio() -> None:
    async with running_receiver() as receiver:
        recording(receiver, ratio=0.0)
        with span("never") as recorded:
            assert not recorded.is_recording()
        with span("always", parent_traceparent=new_traceparent(sampled=True)) as recorded:
            assert recorded.is_recording()
        await flush()
        assert [one.name for one in receiver.spans] == ["always"]


async def test_a_linked_trace_is_recorded_if_what_it_continues_was() -> None:
    async with running_receiver() as receiver:
        recording(receiver, ratio=0.0)
        before = new_traceparent(sampled=True)
        with span("resumed", root=True, links=[before]) as recorded:
            assert recorded.is_recording()
        with span("unsampled", root=True, links=[new_traceparent(sampled=False)]) as recorded:
            assert not recorded.is_recording()
        await flush()
        resumed = receiver.named("resumed")
        assert resumed.links[0].trace_id.hex() == before[3:35]
        assert resumed.trace_id.hex() != before[3:35]
        assert not resumed.parent_span_id


async def test_an_exception_is_recorded_and_goes_on_but_cancellation_is_no_fault() -> None:
    async with running_receiver() as receiver:
        recording(receiver)
        with pytest.raises(ValueError, match="bad"), span("failing"):
            raise ValueError("bad")
        with pytest.raises(asyncio.CancelledError), span("cancelled"):
            raise asyncio.CancelledError
        await flush()
        assert receiver.named("failing").status.code == 2
        assert receiver.named("failing").events[0].name == "exception"
        assert receiver.named("cancelled").status.code == 0


async def test_what_is_already_over_can_be_recorded() -> None:
    async with running_receiver() as receiver:
        recording(receiver)
        parent = new_traceparent(sampled=True)
        record_span("waited", parent_traceparent=parent, start_ns=1_000, end_ns=5_000)
        record_span(
            "ignored", parent_traceparent=new_traceparent(sampled=False), start_ns=1, end_ns=2
        )
        await flush()
        (waited,) = receiver.spans
        assert (waited.start_time_unix_nano, waited.end_time_unix_nano) == (1_000, 5_000)
        assert waited.parent_span_id.hex() == parent[36:52]


async def test_concurrent_tasks_keep_their_own_position() -> None:
    async def work(parent: str) -> bool:
        with span("work", parent_traceparent=parent):
            await asyncio.sleep(0)
            return current_traceparent() == parent

    parents = [new_traceparent(sampled=False) for _ in range(20)]
    assert all(await asyncio.gather(*(work(parent) for parent in parents)))


def test_shutting_down_does_not_wait_for_a_collector_that_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = TelemetrySettings(
            apm_server_url=f"http://127.0.0.1:{silent.getsockname()[1]}", otel_traces_sampler_arg=1
        )
        assert configure_tracing("gateway", settings)
        with span("lost"):
            pass
        started = time.monotonic()
        shutdown_tracing(0.3)
        assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "changes",
    [
        {"apm_enabled": False},
        {"otel_sdk_disabled": True},
        {"otel_traces_exporter": "none"},
        {"otel_traces_sampler": "always_off"},
        {"otel_exporter_otlp_endpoint": None},
    ],
)
def test_tracing_is_off_where_any_of_the_variables_says_so(changes: dict[str, object]) -> None:
    given = {"otel_exporter_otlp_endpoint": "http://127.0.0.1:4318"} | changes
    assert not configure_tracing("gateway", TelemetrySettings.model_validate(given))


@pytest.mark.parametrize(
    ("sampler", "caller", "is_recorded"),
    [
        ("parentbased_always_on", None, True),
        ("parentbased_always_off", None, False),
        ("parentbased_always_off", True, True),
        ("parentbased_always_on", False, False),
        ("always_on", False, True),
        ("traceidratio", True, False),
    ],
)
async def test_the_sampler_decides_what_is_recorded(
    sampler: str, caller: bool | None, is_recorded: bool
) -> None:
    given = None if caller is None else new_traceparent(sampled=caller)
    async with running_receiver() as receiver:
        settings = TelemetrySettings.model_validate(
            {
                "apm_server_url": receiver.endpoint,
                "otel_service_name": "tickets",
                "otel_traces_sampler": sampler,
                "otel_traces_sampler_arg": 0,
            }
        )
        assert configure_tracing("gateway", settings)
        with span("request", parent_traceparent=of_caller(given)):
            assert given is None or current_traceparent()[3:35] == given[3:35]
        await flush()
    assert [one.name for one in receiver.spans] == (["request"] if is_recorded else [])
    assert receiver.services == ({"tickets"} if is_recorded else set())


async def test_the_address_for_traces_is_taken_as_it_stands() -> None:
    async with running_receiver() as receiver:
        settings = TelemetrySettings(
            otel_exporter_otlp_endpoint="http://127.0.0.1:1",
            otel_exporter_otlp_traces_endpoint=f"{receiver.endpoint}/v1/traces",
            otel_traces_sampler_arg=1.0,
        )
        assert configure_tracing("gateway", settings)
        with span("request"):
            pass
        await flush()
    assert receiver.named("request")


async def test_what_the_operator_says_of_the_resource_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=eu-1,team=support")
    async with running_receiver() as receiver:
        settings = TelemetrySettings(
            otel_exporter_otlp_endpoint=receiver.endpoint, otel_traces_sampler_arg=1.0
        )
        assert configure_tracing("gateway", settings, environment="production")
        with span("request"):
            pass
        await flush()
    assert receiver.attributes["deployment.environment.name"] == "eu-1"
    assert receiver.attributes["team"] == "support"
    assert receiver.attributes["service.version"]
