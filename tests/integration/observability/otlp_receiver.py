"""A real OTLP/HTTP receiver that keeps the spans it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PATIENCE_S = 30.0


@dataclass(frozen=True)
class Recorded:
    service: str
    instance: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str


@dataclass
class Collector:
    spans: list[Recorded] = field(default_factory=list)
    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    """Everything that came, as it came."""

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.bodies.append(body)
        export = ExportTraceServiceRequest.FromString(body)
        for resource in export.resource_spans:
            attributes = {
                each.key: each.value.string_value for each in resource.resource.attributes
            }
            for scope in resource.scope_spans:
                self.spans += [
                    Recorded(
                        attributes.get("service.name", ""),
                        attributes.get("service.instance.id", ""),
                        span.name,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                    )
                    for span in scope.spans
                ]
        return web.Response(content_type="application/x-protobuf")

    def trace(self, trace_id: str) -> list[Recorded]:
        return [span for span in self.spans if span.trace_id == trace_id]

    async def until(
        self, trace_id: str, condition: Callable[[list[Recorded]], bool]
    ) -> list[Recorded]:
        """The trace, once it is as wanted; as it is when patience ends."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not condition(self.trace(trace_id)):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.05)
        return self.trace(trace_id)


async def serve(collector: Collector) -> web.AppRunner:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/v1/traces", collector.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    collector.url = f"http://{host}:{port}"
    return runner
