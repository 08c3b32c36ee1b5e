"""One worker process, seen from its parent: spawn it, ask it one thing at a time, kill it."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.evaluation.worker import ANSWER, QUESTION, READY, VALUE

_SCRIPT: Final = Path(__file__).with_name("worker.py")
_READY_WITHIN_S: Final = 20.0


class EvaluationFailed(Exception):
    """The expression has no value: jq said so, or its limits did. Nothing else was disturbed."""

    leaves_worker = True
    """Whether the process that said so can be asked again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class WorkerLost(EvaluationFailed):
    """The expression went beyond its limits, and the process cannot be asked again."""

    leaves_worker = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    memory_mb: int
    timeout_s: float
    result_bytes_max: int

    def arguments(self) -> tuple[str, ...]:
        cpu_s = int(self.timeout_s) + 1
        return str(self.memory_mb * 2**20), str(cpu_s), str(self.result_bytes_max)


class Worker:
    """A worker that answered may be asked again; one that did not must be killed."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self.asked = 0

    @classmethod
    async def spawn(cls, limits: Limits) -> "Worker":
        """Start a process and wait until it is confined. Raises EvaluationFailed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-X", "utf8", str(_SCRIPT), *limits.arguments(),
            stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={}, cwd="/",
        )  # fmt: skip
        worker = cls(process, limits)
        try:
            async with asyncio.timeout(_READY_WITHIN_S):
                ready = await worker._read(len(READY))
        except (TimeoutError, asyncio.IncompleteReadError):
            await worker.kill()
            raise EvaluationFailed("no process for evaluating expressions would start") from None
        except BaseException:
            await worker.kill()
            raise
        assert ready == READY
        return worker

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, program: bytes, data: bytes) -> bytes:
        """The value as JSON. Raises EvaluationFailed, and WorkerLost when the process is done for."""
        self.asked += 1
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await self._exchange(program, data)
        except TimeoutError:
            raise WorkerLost(f"it took longer than {self._limits.timeout_s:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise WorkerLost(await self._cause_of_death()) from None

    async def kill(self) -> None:
        """End the process whatever it does, and wait until it is gone. May be called twice."""
        if self.is_alive:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
        await self._process.wait()
        # Closes our ends of the pipes at once, and not at the next turn of the garbage collector.
        self._process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001

    async def _exchange(self, program: bytes, data: bytes) -> bytes:
        writer = self._process.stdin
        assert writer is not None
        writer.write(QUESTION.pack(len(program), len(data)) + program)
        writer.write(data)
        await writer.drain()
        kind, length = ANSWER.unpack(await self._read(ANSWER.size))
        if length > self._limits.result_bytes_max * 4:
            raise WorkerLost("the result is too large")
        body = await self._read(length)
        if kind != VALUE:
            raise EvaluationFailed(body.decode(errors="replace"))
        return body

    async def _read(self, size: int) -> bytes:
        reader = self._process.stdout
        assert reader is not None
        return await reader.readexactly(size)

    async def _cause_of_death(self) -> str:
        code = await self._process.wait()
        if code == -signal.SIGABRT:
            return f"it needs more than {self._limits.memory_mb} MB of memory"
        if code == -signal.SIGXCPU:
            return f"it took longer than {self._limits.timeout_s:g} s of processor time"
        return "it ended the process that evaluated it; it may nest too deeply"
