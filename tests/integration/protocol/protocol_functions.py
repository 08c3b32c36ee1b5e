"""Own functions of the executors that the protocol's tests run: each has a side effect that somebody else counts."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from aiohttp import ClientError, ClientSession

from kwe.functions import FunctionError, TaskContext, function

LEDGER = os.environ["EFFECTS_URL"]


@function("effect", version="1.0.0", queue="effects")
async def effect(input: Any, context: TaskContext) -> Any:
    """Cause an effect under the task's key, then take as long as the input says."""
    headers = {"Idempotency-Key": str(context.task_id)}
    try:
        async with ClientSession() as session, session.post(LEDGER, headers=headers) as response:
            response.raise_for_status()
    except ClientError as error:
        raise FunctionError(f"the ledger does not answer: {error}", status=503) from error
    await asyncio.sleep(input.get("ms", 0) / 1000)
    return {"n": input.get("n", 0) + 1}


@function("once", version="1.0.0", queue="effects", at_most_once=True)
async def once(input: Any, context: TaskContext) -> Any:
    return await effect(input, context)
