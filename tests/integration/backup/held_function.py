"""A function that returns when a file appears, so that a test decides when a task ends."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from kwe.functions import TaskContext, function

GATES = Path(os.environ["GATES"])


@function("held", version="1.0.0", queue="held")
async def held(input: Any, context: TaskContext) -> Any:
    with (GATES / "runs").open("a") as runs:
        runs.write(f"{context.task_id}\n")
    while not (GATES / input["gate"]).exists():  # noqa: ASYNC110 - nobody in this process opens it
        await asyncio.sleep(0.05)
    return {"gate": input["gate"]}
