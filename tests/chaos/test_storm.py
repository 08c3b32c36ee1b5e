"""Minutes of trouble. Off in `make test`; `make chaos` runs it, with

`KWE_CHAOS_SECONDS`  how long the storm lasts, 120 by default
`KWE_CHAOS_SEED`     to repeat one; it is printed
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from protocol_chaos import EFFECTS_MAX, Chaos, chosen_seed

SECONDS = float(os.environ.get("KWE_CHAOS_SECONDS", "0"))

pytestmark = [
    pytest.mark.skipif(SECONDS == 0, reason="takes minutes: make chaos"),
    pytest.mark.timeout(SECONDS + 600),
]
EVERYTHING = ("flush", "kill", "kill", "drain", "pause", "postgres", "valkey")


async def test_a_long_storm_loses_nothing_and_doubles_nothing(stack: Any, desk: Any) -> None:
    chaos = Chaos(stack, desk, chosen_seed())

    ids = await chaos.run(seconds=SECONDS, pause_s=2, kinds=EVERYTHING)

    await desk.balanced(ids, effects_max=EFFECTS_MAX)


@pytest.mark.parametrize(
    "failpoint",
    [
        "orchestrator-before-commit",
        "orchestrator-after-commit",
        "orchestrator-after-publish",
        "after-claim",
        "before-result-publish",
        "after-result-publish",
    ],
)
async def test_many_crashes_at_one_place(stack: Any, desk: Any, failpoint: str) -> None:
    ids: list[str] = []
    for _ in range(max(3, int(SECONDS / 20))):
        stack.arm(failpoint)
        ids += await desk.load(4, workers=4)
        await desk.strikes(failpoint)

    await desk.balanced(ids, effects_max=EFFECTS_MAX)
