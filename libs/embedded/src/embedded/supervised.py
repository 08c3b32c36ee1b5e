"""One service process: started, watched, started again when it crashes.

    waiting ──► starting ──► ready ──► stopped
                   ▲           │
                   └─ crashed ◄┘      (after a pause that doubles while it keeps crashing)

The first start is strict: a process that ends before it was ever ready is a mistake to be shown,
not a crash to be repeated. Once it has been ready it is started again for ever.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from embedded.errors import EmbeddedError, StartFailed
from embedded.ports import free_port, is_free
from embedded.process import Child, Command
from embedded.readiness import is_ready

READY_SECONDS_MAX = 60.0
READY_POLL_SECONDS = 0.1
START_ATTEMPTS_MAX = 5
PAUSE_SECONDS_FIRST = 0.2
PAUSE_SECONDS_MAX = 10.0
STEADY_SECONDS = 30.0
"""A process that lived this long starts with a short pause again."""


class State(StrEnum):
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    CRASHED = "crashed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """A process to keep running."""

    name: str
    argv: Sequence[str]
    """The program by absolute path, and its arguments."""
    env: Mapping[str, str]
    """The whole environment; `METRICS_PORT` is added."""
    stage: int = 0
    """Processes of a higher stage are stopped, and have drained, before those of a lower one."""
    probe_host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    name: str
    state: State
    pid: int | None
    metrics_port: int
    restarts: int
    exit_code: int | None
    """Of the latest process, once it has ended; negative when a signal ended it."""
    log: Path


class PortPool:
    """Metrics ports: each service keeps its own for as long as nobody else took it."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._given: dict[str, int] = {}

    def port_of(self, name: str) -> int:
        port = self._given.get(name)
        if port is None or not is_free(port):
            port = self._given[name] = free_port(self._first, avoid=set(self._given.values()))
        return port


class Supervised:
    def __init__(
        self,
        spec: ServiceSpec,
        *,
        log: Path,
        ports: PortPool,
        notify: Callable[[ServiceStatus], None],
    ) -> None:
        """`notify` hears of every change of state."""
        self.spec = spec
        self._log = log
        self._ports = ports
        self._notify = notify
        self._state = State.WAITING
        self._metrics_port = 0
        self._restarts = 0
        self._child: Child | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def status(self) -> ServiceStatus:
        child = self._child
        return ServiceStatus(
            name=self.spec.name,
            state=self._state,
            pid=child.pid if child and child.running else None,
            metrics_port=self._metrics_port,
            restarts=self._restarts,
            exit_code=child.exit_code if child else None,
            log=self._log,
        )

    async def start(self) -> None:
        """Return once it is ready. Raise `StartFailed` when it ends, or takes too long."""
        for attempt in range(1, START_ATTEMPTS_MAX + 1):
            child = self._spawn()
            if await self._became_ready(child):
                self._keeper = asyncio.create_task(self._keep(child), name=f"keep {self.spec.name}")
                return
            ended = not child.running
            await child.end()
            if attempt == START_ATTEMPTS_MAX or not (ended and self._lost_its_port(child)):
                raise StartFailed(self._why_not_ready(child, ended=ended))

    def kill(self, signum: signal.Signals = signal.SIGKILL) -> None:
        """Crash it: only the process itself, as the kernel would when memory runs out."""
        if self._child is not None and self._child.running:
            self._child.send(signum)

    async def stop(self, *, grace_seconds: float) -> None:
        """SIGTERM, wait for its drain, kill it after the grace. May be called twice."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._child is not None:
            await self._child.stop(signal.SIGTERM, grace_seconds=grace_seconds)
            self._child.sweep()
        self._become(State.STOPPED)

    def _spawn(self) -> Child:
        self._metrics_port = self._ports.port_of(self.spec.name)
        env = {**self.spec.env, "METRICS_PORT": str(self._metrics_port)}
        self._child = Child.spawn(Command(argv=self.spec.argv, env=env, log=self._log))
        self._become(State.STARTING)
        return self._child

    def _lost_its_port(self, child: Child) -> bool:
        """Somebody took the metrics port between our looking and its binding: the next one may do."""
        return f"METRICS_PORT={self._metrics_port} cannot be opened" in child.log_tail()

    async def _became_ready(self, child: Child) -> bool:
        """`False` when it ended, or was not ready in time."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while child.running and time.monotonic() < deadline:
            # Asked again after the answer: it may have come from whoever took the port meanwhile.
            if await is_ready(self.spec.probe_host, self._metrics_port) and child.running:
                self._become(State.READY)
                return True
            await asyncio.sleep(READY_POLL_SECONDS)
        return False

    async def _keep(self, child: Child) -> None:
        pause = PAUSE_SECONDS_FIRST
        while True:
            started = time.monotonic()
            await self._watch(child)
            self._become(State.CRASHED)
            # Workers of a dead process are of no use to anyone, and may hold its ports.
            child.sweep()
            if time.monotonic() - started > STEADY_SECONDS:
                pause = PAUSE_SECONDS_FIRST
            await asyncio.sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
            self._restarts += 1
            # No free port, no free process slot: the ended child is looked at again after a pause.
            with contextlib.suppress(EmbeddedError, OSError):
                child = self._spawn()

    async def _watch(self, child: Child) -> None:
        """Return when it has ended. A restarted one that never becomes ready is ended."""
        if self._state is State.STARTING and not await self._became_ready(child):
            child.kill()
        await child.wait()

    def _become(self, state: State) -> None:
        if state is not self._state:
            self._state = state
            self._notify(self.status)

    def _why_not_ready(self, child: Child, *, ended: bool) -> str:
        what = f"was not ready within {READY_SECONDS_MAX:.0f} s"
        if ended:
            what = f"ended with exit code {child.exit_code} while starting"
        return f"{self.spec.name} {what}; {self._log} ends with:\n{child.log_tail()}"
