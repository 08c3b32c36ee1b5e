"""Keeps a set of service processes running, and stops them in order.

    async with Supervisor(logs=Path(".kwe/logs")) as supervisor:
        await supervisor.start(specs)          # all of them are ready now
        async with Signals() as signals:
            await signals.stop.wait()
    # stopped: the highest stage first, everybody drained or killed after the grace

Nothing outlives it: a process dies with the thread that runs the supervisor, even by kill -9.
"""

import asyncio
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from embedded.errors import EmbeddedError
from embedded.supervised import PortPool, ServiceSpec, ServiceStatus, State, Supervised

METRICS_PORT_FIRST = 9090
GRACE_SECONDS = 30.0
"""Above the services' own SHUTDOWN_GRACE of 25 s, so that they end by themselves."""


class Supervisor:
    def __init__(
        self,
        *,
        logs: Path,
        metrics_port_first: int = METRICS_PORT_FIRST,
        grace_seconds: float = GRACE_SECONDS,
        notify: Callable[[ServiceStatus], None] = lambda _: None,
    ) -> None:
        """`notify` hears of every change of a service's state, on the event loop."""
        self._logs = logs
        self._ports = PortPool(metrics_port_first)
        self._grace_seconds = grace_seconds
        self._notify = notify
        self._services: dict[str, Supervised] = {}
        self._changed = asyncio.Event()

    async def start(self, specs: Sequence[ServiceSpec]) -> None:
        """Start all of them at once, and return when each is ready.

        When one fails, `StartFailed` says why, and all of these are stopped again.
        """
        added = [self._add(spec) for spec in specs]
        starts = [asyncio.create_task(service.start()) for service in added]
        try:
            await asyncio.gather(*starts)
        except BaseException:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)
            await self._stop_stage(added)
            for spec in specs:
                del self._services[spec.name]
            raise

    def statuses(self) -> list[ServiceStatus]:
        return [service.status for service in self._services.values()]

    def status(self, name: str) -> ServiceStatus:
        return self._service(name).status

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> None:
        """Crash one process without notice; it is started again like after any other crash."""
        self._service(name).kill(signum)

    async def wait_until(self, name: str, condition: Callable[[ServiceStatus], bool]) -> None:
        """Return when the service's status meets the condition. Has no deadline of its own."""
        service = self._service(name)
        while not condition(service.status):
            self._changed.clear()
            await self._changed.wait()

    async def wait_restarted(self, name: str, *, restarts: int) -> None:
        """Return when the service is ready again after at least so many restarts."""
        await self.wait_until(
            name, lambda status: status.restarts >= restarts and status.state is State.READY
        )

    async def dismiss(self, names: Sequence[str]) -> None:
        """Drain and stop these, and supervise them no longer."""
        leaving = [self._service(name) for name in names]
        await self._stop_stage(leaving)
        for name in names:
            del self._services[name]

    async def stop(self, *, hurry: asyncio.Event | None = None) -> None:
        """Drain and stop every process; kill all that are left once `hurry` is set."""
        stopping = asyncio.create_task(self._stop_stages())
        hurried = asyncio.create_task((hurry or asyncio.Event()).wait())
        try:
            await asyncio.wait({stopping, hurried}, return_when=asyncio.FIRST_COMPLETED)
            if hurried.done():
                # Also for those whose turn has not come, and whom their keepers start again.
                self._grace_seconds = 0.0
                for service in self._services.values():
                    service.kill()
            await stopping
        finally:
            hurried.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def _add(self, spec: ServiceSpec) -> Supervised:
        if spec.name in self._services:
            raise EmbeddedError(f"a service named {spec.name} is already supervised")
        service = Supervised(
            spec,
            log=self._logs / f"{spec.name}.log",
            ports=self._ports,
            notify=self._on_change,
        )
        self._services[spec.name] = service
        return service

    def _service(self, name: str) -> Supervised:
        if name not in self._services:
            known = ", ".join(self._services) or "none"
            raise EmbeddedError(f"no service is named {name}; known: {known}")
        return self._services[name]

    def _on_change(self, status: ServiceStatus) -> None:
        self._changed.set()
        self._notify(status)

    async def _stop_stages(self) -> None:
        services = list(self._services.values())
        for stage in sorted({service.spec.stage for service in services}, reverse=True):
            await self._stop_stage([one for one in services if one.spec.stage == stage])

    async def _stop_stage(self, services: Sequence[Supervised]) -> None:
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(service.stop(grace_seconds=self._grace_seconds))
