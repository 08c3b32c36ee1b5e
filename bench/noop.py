"""The functions that benchmarks call: one returns its input, the other does so after a while."""

from __future__ import annotations

import asyncio
from typing import Any

from kwe.functions import function


@function("noop", version="1.0.0", queue="bench")
async def noop(input: Any) -> Any:
    return input


@function("pause", version="1.0.0", queue="bench")
async def pause(input: Any) -> Any:
    await asyncio.sleep(input["seconds"])
    return input
