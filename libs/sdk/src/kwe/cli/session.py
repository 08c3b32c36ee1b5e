"""One `kwe up` or `kwe demo`: start, show, serve, stop, whatever interrupts it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kwe.cli import report
from kwe.local import example
from kwe.local.stack import LocalStack

if TYPE_CHECKING:
    from embedded import Signals
    from kwe.client import Client

INTERRUPTED = 130


class Session:
    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        replicas: Mapping[str, int],
        *,
        question: str | None = None,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._replicas = replicas
        self._question = question or example.QUESTION
        self._began = time.monotonic()

    async def serve(self, *, example: bool) -> int:
        """Until a signal asks to stop. Exit code 0 then: being stopped is no failure."""
        return await _until_signalled(lambda signals: self._serve(signals, example=example), 0)

    async def demonstrate(self, *, crash: bool) -> int:
        """Exit code 0 only if the execution completed."""
        return await _until_signalled(
            lambda signals: self._demonstrate(signals, crash=crash), INTERRUPTED
        )

    async def _serve(self, signals: Signals, *, example: bool) -> int:
        async with self._started(signals, self._environ) as (stack, client):
            if example:
                await self._run_example(client)
            report.places(stack, example=example)
            await asyncio.Event().wait()
        return 0

    async def _demonstrate(self, signals: Signals, *, crash: bool) -> int:
        environ = dict(self._environ)
        if crash:
            from kwe.examples import examples_folder
            from kwe.local import crash as crashing

            environ.update(crashing.variables(examples_folder()))
            report.note(
                "CRASH=1: TASK_LEASE=3s instead of 30s, so that a dead executor is noticed soon"
            )
        async with self._started(signals, environ) as (stack, client):
            completed = await (
                self._run_crash(stack, client) if crash else self._run_example(client)
            )
        return 0 if completed else 1

    @asynccontextmanager
    async def _started(
        self, signals: Signals, environ: Mapping[str, str]
    ) -> AsyncGenerator[tuple[LocalStack, Client], None]:
        from kwe.client import Client

        report.heading(self._folder)
        watcher = report.Watcher()
        stack = LocalStack(
            self._folder,
            environ,
            replicas=self._replicas,
            progress=report.step,
            notify=watcher,
            hurry=signals.hurry,
        )
        async with stack:
            report.processes(stack)
            try:
                async with Client(stack.url, stack.api_key, patience=10) as client:
                    yield stack, client
            finally:
                watcher.be_quiet()
                report.note("stopping")
        report.note(f"stopped; the data stays in {self._folder}")

    async def _run_example(self, client: Client) -> bool:
        from kwe.examples import examples_folder

        began = time.monotonic()
        documents = await example.prepare(client, examples_folder())
        report.step(f"{len(documents)} documents in collection policies", time.monotonic() - began)
        report.failed_documents(documents)
        told = await example.ask(client, self._question)
        report.answer(self._question, told)
        report.elapsed(time.monotonic() - self._began)
        return told.execution.status == "completed"

    async def _run_crash(self, stack: LocalStack, client: Client) -> bool:
        from kwe.examples import examples_folder
        from kwe.local.crash import crash

        examples = examples_folder()
        await example.prepare(client, examples)
        result = await crash(stack, client, self._question, examples=examples, say=report.note)
        tasks = await client.tasks(result.execution.id)
        report.answer(self._question, example.Told(execution=result.execution, tasks=tasks))
        return result.execution.status == "completed"


async def _until_signalled(
    make: Callable[[Signals], Coroutine[Any, Any, int]], interrupted: int
) -> int:
    """The work's exit code, or `interrupted` when a signal came first; the work is then cancelled and cleans up."""
    from embedded import Signals

    async with Signals() as signals:
        task = asyncio.create_task(make(signals))
        stop = asyncio.create_task(signals.stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                return await task
            return interrupted
        finally:
            stop.cancel()
