"""The same system and the same books as the protocol's integration tests, for as long as somebody has patience."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "protocol"))

from protocol_stack import Desk, ProtocolStack


@pytest.fixture
def stack(server_folder: Path, fixture_loop: Any, ports: Any) -> Iterator[ProtocolStack]:
    built = ProtocolStack(server_folder / f"chaos-{uuid4().hex[:8]}", fixture_loop.run, ports)
    built.folder.mkdir(mode=0o711)
    built.start()
    yield built
    built.stop()


@pytest.fixture
async def desk(stack: ProtocolStack) -> AsyncIterator[Desk]:
    async with stack.desk() as opened:
        opened.patience_s = 180
        await opened.ready()
        await opened.register()
        yield opened
