"""A few killable processes in which expressions of unbounded cost are evaluated."""

import asyncio
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Final, Self

import orjson

from common.evaluation.process import EvaluationFailed, Limits, Worker

_QUESTIONS_MAX: Final = 10_000
"""A worker is replaced after so many, so that nothing it may leak adds up."""
_STOPPED: Final = "expressions are no longer evaluated: the service stops"


class EvaluationPool:
    """Evaluates jq in processes without environment, files or much memory, for a limited time.

    Nothing runs before the first use, unless `spares` asks for processes that wait from the
    start. An expression that goes beyond its limits loses its process; others do not notice.
    At most `processes` are busy at once, further evaluations wait their turn in order, and their
    time is counted only from then on.
    """

    def __init__(
        self,
        *,
        processes: int = 2,
        spares: int = 0,
        memory_mb: int = 384,
        timeout_s: float = 2.0,
        result_bytes_max: int = 8 * 2**20,
    ) -> None:
        self._limits = Limits(
            memory_mb=memory_mb, timeout_s=timeout_s, result_bytes_max=result_bytes_max
        )
        self._turns = asyncio.Semaphore(processes)
        self._processes = processes
        self._spares = min(spares, processes)
        self._idle: list[Worker] = []
        self._starting = 0
        self._busy: set[Worker] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._is_stopped = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the spares, in the background."""
        self._is_stopped = False
        self._refill()

    async def stop(self) -> None:
        """End all processes. Evaluations under way fail."""
        self._is_stopped = True
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        await asyncio.gather(*(worker.kill() for worker in workers))
        while self._background:  # Not cancelled: a process half started would be left behind.
            await asyncio.gather(*self._background, return_exceptions=True)

    @property
    def busy(self) -> int:
        """Evaluations under way; those that wait for their turn are not counted."""
        return len(self._busy)

    async def evaluate(self, source: str, current: Any, variables: Mapping[str, Any]) -> Any:
        """The value of the jq program; null when it yields none. Raises EvaluationFailed.

        Trusts the caller that `source` is one program and the names are jq names.
        """
        program = orjson.dumps({"source": source, "names": sorted(variables)})
        try:
            data = orjson.dumps({"i": current, "v": dict(variables)})
        except orjson.JSONEncodeError as error:
            raise EvaluationFailed(f"its data are not JSON: {error}") from None
        async with self._turns:
            if self._is_stopped:
                raise EvaluationFailed(_STOPPED)
            answer = await self._ask(program, data)
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError:
            raise EvaluationFailed("its result cannot be carried as JSON") from None

    async def _ask(self, program: bytes, data: bytes) -> bytes:
        worker = await self._take()
        is_reusable = False
        try:
            answer = await worker.ask(program, data)
            is_reusable = True
            return answer
        except EvaluationFailed as failure:
            is_reusable = failure.leaves_worker
            raise
        finally:
            self._give_back(worker, is_reusable=is_reusable)

    async def _take(self) -> Worker:
        while True:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_alive:
                    self._busy.add(worker)
                    self._spares = max(self._spares, 1)  # Used once, it will be used again.
                    return worker
                self._in_background(worker.kill())
            # Shielded: a process that is half started when we are cancelled becomes a spare.
            await asyncio.shield(self._in_background(self._add_worker()))

    def _give_back(self, worker: Worker, *, is_reusable: bool) -> None:
        self._busy.discard(worker)
        if is_reusable and worker.asked < _QUESTIONS_MAX and not self._is_stopped:
            self._idle.append(worker)
            return
        self._in_background(worker.kill())
        self._refill()

    def _refill(self) -> None:
        """See that spares are ready before somebody waits for them."""
        missing = self._spares - len(self._idle) - self._starting
        room = self._processes - len(self._busy) - len(self._idle) - self._starting
        for _ in range(0 if self._is_stopped else min(missing, room)):
            self._in_background(self._add_worker())

    async def _add_worker(self) -> None:
        self._starting += 1
        try:
            worker = await Worker.spawn(self._limits)
        finally:
            self._starting -= 1
        if self._is_stopped:
            await worker.kill()
            raise EvaluationFailed(_STOPPED)
        self._idle.append(worker)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        """Whoever waits for the task hears of its failure; a spare that does not start may."""
        self._background.discard(task)
        if not task.cancelled():
            task.exception()
