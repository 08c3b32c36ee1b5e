"""A replica that finds a backup restored under it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from common.streams.names import RESTORED
from orchestrator.generation import Generation
from orchestrator.recovery import Recovery


class Store:
    async def settled_generation(self) -> str:
        return f"{RESTORED}fresh"


class Key:
    async def current(self) -> str:
        return "old"


async def test_it_ends_itself_because_it_remembers_what_never_happened() -> None:
    nothing = cast("Any", None)
    recovery = Recovery(
        store=cast("Any", Store()),
        key=cast("Any", Key()),
        bus=nothing,
        sweeps=nothing,
        generation=Generation("old"),
    )

    with pytest.raises(SystemExit):
        await recovery.is_needed()
