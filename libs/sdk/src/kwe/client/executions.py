"""Calls about executions."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from kwe.client.events import EventCalls, execution_path
from kwe.client.models import Accepted, Execution, ExecutionSummary, Task, WaitingFor
from kwe.client.transport import Answer
from kwe.client.workflows import workflow_path
from kwe.errors import TimedOut

WAIT_SECONDS_PER_REQUEST: Final = 20.0


class ExecutionCalls(EventCalls):
    async def start(
        self,
        workflow: str,
        input: Any = None,
        *,
        version: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Start an execution of `namespace/name`. When this returns it is committed, and will run."""
        answer = await self._start(workflow, input, version, labels, idempotency_key, wait=None)
        return Accepted.model_validate(answer.body)

    async def run(
        self,
        workflow: str,
        input: Any = None,
        *,
        version: str | None = None,
        labels: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        timeout: float = 60.0,
    ) -> Execution:
        """Start an execution and wait for its end, whatever that is. Raises `TimedOut`."""
        wait = min(timeout, WAIT_SECONDS_PER_REQUEST)
        began = asyncio.get_running_loop().time()
        answer = await self._start(workflow, input, version, labels, idempotency_key, wait=wait)
        if answer.status == 200:
            return Execution.model_validate(answer.body)
        left = timeout - (asyncio.get_running_loop().time() - began)
        return await self.wait(answer.body["id"], timeout=max(left, 0.01))

    async def get(self, execution_id: str) -> Execution:
        return Execution.model_validate(await self.transport.get(execution_path(execution_id)))

    async def wait(self, execution_id: str, *, timeout: float | None = None) -> Execution:
        """The execution once it has ended. Raises `TimedOut`; it goes on all the same."""
        try:
            async with asyncio.timeout(timeout), aclosing(self.stream(execution_id)) as events:
                async for _ in events:
                    pass
                return await self.get(execution_id)
        except TimeoutError:
            raise TimedOut(
                f"execution {execution_id} has not ended within {timeout:g} s; it goes on"
            ) from None

    async def list(
        self,
        *,
        status: str | None = None,
        workflow: str | None = None,
        label: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ExecutionSummary]:
        """Executions, newest first; pages are fetched as they are needed."""
        pages = self._pages(
            "/v1/executions", most=limit, status=status, workflow=workflow, label=label
        )
        async for item in pages:
            yield ExecutionSummary.model_validate(item)

    async def tasks(self, execution_id: str) -> Sequence[Task]:
        body = await self.transport.get(f"{execution_path(execution_id)}/tasks")
        return [Task.model_validate(item) for item in body["items"]]

    async def history(self, execution_id: str, *, after: int = 0) -> AsyncIterator[dict[str, Any]]:
        """Every event of the history with its `sequence`, from 1 without gaps."""
        position: int | None = after
        while position is not None:
            page = await self.transport.get(
                f"{execution_path(execution_id)}/history", after=position
            )
            for item in page["items"]:
                yield item
            position = page["nextAfter"]

    async def why(self, execution_id: str) -> Sequence[WaitingFor]:
        """The live reasons why it is not moving; empty when it has ended or is moving right now."""
        return (await self.get(execution_id)).waiting_for

    async def cancel(self, execution_id: str, *, reason: str = "") -> None:
        await self._control(execution_id, "cancel", reason)

    async def suspend(self, execution_id: str, *, reason: str = "") -> None:
        await self._control(execution_id, "suspend", reason)

    async def resume(self, execution_id: str, *, reason: str = "") -> None:
        await self._control(execution_id, "resume", reason)

    async def _start(
        self,
        workflow: str,
        input: Any,
        version: str | None,
        labels: Mapping[str, str] | None,
        idempotency_key: str | None,
        *,
        wait: float | None,
    ) -> Answer:
        body: dict[str, Any] = {"input": {} if input is None else input}
        if version is not None:
            body["version"] = version
        if labels:
            body["labels"] = dict(labels)
        return await self.transport.request(
            "POST",
            f"{workflow_path(workflow)}/executions",
            body=body,
            params={"wait": wait},
            headers={"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
            repeatable=True,
            timeout_seconds=WAIT_SECONDS_PER_REQUEST + 10 if wait else None,
        )

    async def _control(self, execution_id: str, action: str, reason: str) -> None:
        path = f"{execution_path(execution_id)}/{action}"
        await self.transport.post(path, {"reason": reason})
