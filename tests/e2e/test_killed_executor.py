"""kill -9 of an executor in the middle of a task."""

import asyncio
from pathlib import Path
from typing import Any

from kwe import Client
from kwe.examples import examples_folder
from kwe.local import crash, example
from kwe.local.stack import LocalStack

EXAMPLES = examples_folder(Path(__file__))


async def test_an_execution_completes_although_its_executor_is_killed(
    stack: LocalStack, client: Client, fixture_loop: Any
) -> None:
    await example.prepare(client, EXAMPLES)
    said: list[str] = []
    # The supervisor lives on the fixtures' loop, so what kills by it runs there.
    result = await asyncio.to_thread(fixture_loop.run, _crash(stack, said))
    assert result.execution.status == "completed"
    assert result.execution.output["review"]["approved"] is True
    tasks = await client.tasks(result.execution.id)
    review = next(task for task in tasks if task.name == "review")
    assert review.tries == 1, "a lost executor is not a try that the definition asked for"
    assert any("kill -9" in line for line in said)


async def _crash(stack: LocalStack, said: list[str]) -> crash.Crash:
    async with Client(stack.url, stack.api_key) as client:
        return await crash.crash(
            stack, client, example.QUESTION, examples=EXAMPLES, say=said.append
        )
