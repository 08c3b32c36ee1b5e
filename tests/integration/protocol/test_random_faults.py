"""A short storm: Redis emptied, PostgreSQL and services killed while work is going on. `make chaos` has the long one."""

from __future__ import annotations

from typing import Any

from protocol_chaos import EFFECTS_MAX, Chaos, chosen_seed


async def test_a_short_storm_loses_nothing_and_doubles_nothing(stack: Any, desk: Any) -> None:
    chaos = Chaos(stack, desk, chosen_seed())

    ids = await chaos.run(seconds=4, pause_s=1, kinds=("flush", "kill", "postgres"))

    await desk.balanced(ids, effects_max=EFFECTS_MAX)
