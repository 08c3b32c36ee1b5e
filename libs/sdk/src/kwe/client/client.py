"""The client.

    async with Client() as kwe:                      # KWE_URL and KWE_API_KEY, or .kwe/credentials
        started = await kwe.start("support/refund-policy", {"question": "…"})
        async for event in kwe.stream(started.id):
            print(event.sequence, event.kind)
        print((await kwe.get(started.id)).output)

Requests that may safely be repeated are: an outage shorter than `patience` is only a pause. A start carries an
idempotency key, so it happens once however often it is sent.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kwe.client.executions import ExecutionCalls
from kwe.client.knowledge import KnowledgeCalls
from kwe.client.operating import OperatingCalls
from kwe.client.transport import Transport
from kwe.client.workflows import WorkflowCalls
from kwe.credentials import find_credentials


class Client(WorkflowCalls, ExecutionCalls, KnowledgeCalls, OperatingCalls):
    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        patience: float = 30.0,
        timeout: float = 30.0,
    ) -> None:
        """`patience`: seconds that an unavailable server is waited for; `timeout`: seconds for one answer."""
        if url is None or api_key is None:
            found = find_credentials()
            url, api_key = url or found.url, api_key or found.api_key
        self.patience = patience
        self.transport = Transport(url, api_key, patience_seconds=patience, timeout_seconds=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self.transport.close()
