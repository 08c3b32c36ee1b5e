"""`stack`: the whole system as processes, one for this folder; `desk`: what a test needs to use, hurt and audit it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from protocol_stack import Desk, ProtocolStack


@pytest.fixture(scope="package")
def stack(server_folder: Path, fixture_loop: Any, ports: Any) -> Iterator[ProtocolStack]:
    built = ProtocolStack(server_folder / f"protocol-{uuid4().hex[:8]}", fixture_loop.run, ports)
    built.folder.mkdir(mode=0o711)
    built.start()
    yield built
    built.stop()


@pytest.fixture
async def desk(stack: ProtocolStack) -> AsyncIterator[Desk]:
    async with stack.desk() as opened:
        await opened.ready()
        await opened.register()
        yield opened
