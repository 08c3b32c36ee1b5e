"""The function that benchmarks call: it returns its input and does nothing else."""

from __future__ import annotations

from typing import Any

from kwe.functions import function


@function("noop", version="1.0.0", queue="bench")
async def noop(input: Any) -> Any:
    return input
