"""The stack with a real OTLP/HTTP receiver beside it; every trace is recorded.

`collector`  what the receiver has got so far
`stack`      the running processes, with two executors and a short lease
`client`     a client of it
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from kwe import Client
from kwe.examples import examples_folder
from kwe.local import crash
from kwe.local.stack import LocalStack

sys.path.insert(0, str(Path(__file__).parent))

from otlp_receiver import Collector, serve

EXAMPLES = examples_folder(Path(__file__))


@pytest.fixture(scope="package")
def collector(fixture_loop: Any) -> Iterator[Collector]:
    collector = Collector()
    runner = fixture_loop.run(serve(collector))
    yield collector
    fixture_loop.run(runner.cleanup())


@pytest.fixture(scope="package")
def stack(fixture_loop: Any, collector: Collector, ports: Any) -> Iterator[LocalStack]:
    folder = Path(tempfile.mkdtemp(prefix="kwe-traces-"))
    folder.chmod(0o711)
    ours = ("DATABASE_URL", "REDIS_URL", "PORT", "KWE_URL", "KWE_API_KEY")
    environ = {name: value for name, value in os.environ.items() if name not in ours}
    environ |= crash.variables(EXAMPLES) | ports.keep_for_stack(folder / ".kwe")
    environ |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_TRACES_SAMPLER_ARG": "1.0",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "ACCESS_LOG": "true",
        "OUTBOUND_ALLOW": "127.0.0.0/8",
        "METRICS_ORGANIZATIONS": "5",
    }
    started = LocalStack(folder / ".kwe", environ, replicas={"executor": 2, "orchestrator": 2})
    fixture_loop.run(started.__aenter__())
    yield started
    fixture_loop.run(started.__aexit__(None, None, None))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def client(stack: LocalStack) -> AsyncIterator[Client]:
    async with Client(stack.url, stack.api_key) as opened:
        yield opened
