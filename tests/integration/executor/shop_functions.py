"""The functions of a made-up user, run by executors of the tests. Effects go to a counter in Redis."""

import asyncio
import os
import threading
from typing import Any

from pydantic import BaseModel
from redis.asyncio import Redis

from kwe.functions import FunctionError, TaskContext, function


class Order(BaseModel):
    number: int
    note: str = ""


class Receipt(BaseModel):
    number: int
    key: str


async def count(context: TaskContext) -> None:
    """The side effect of a task, with its idempotency key."""
    async with Redis.from_url(os.environ["EFFECTS_URL"]) as redis:
        await redis.rpush("effects", context.idempotency_key)


@function("book", version="1.0.0", queue="shop")
async def book(input: Order, context: TaskContext) -> Receipt:
    await count(context)
    return Receipt(number=input.number, key=context.idempotency_key)


@function("slow", version="1.0.0", queue="shop")
async def slow(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    await count(context)
    await asyncio.sleep(input["seconds"])
    return {"slept": input["seconds"]}


@function("thread", version="1.0.0", queue="shop", timeout=5)
def thread(input: dict[str, Any]) -> dict[str, Any]:
    return {"main": threading.current_thread() is threading.main_thread(), **input}


@function("refuse", version="1.0.0", queue="shop", input_schema={"required": ["reason"]})
async def refuse(input: dict[str, Any]) -> None:
    raise FunctionError(input["reason"], type="authorization", retryable=False)
