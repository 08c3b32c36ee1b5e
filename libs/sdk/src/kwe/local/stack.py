"""PostgreSQL, Valkey and the services of one machine, from nothing to ready and back.

    async with LocalStack(Path(".kwe"), os.environ, replicas={"executor": 2}) as stack:
        stack.url, stack.api_key, stack.supervisor.statuses()

The same folder again finds everything as it was: data, keys, ports. It may have been left by kill -9.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from common.migrations import migrate
from common.settings import DatabaseSettings, read
from embedded import (
    SERVICES,
    LocalEnvironment,
    ServiceSpec,
    ServiceStatus,
    StartFailed,
    Supervisor,
    service_specs,
)
from kwe.credentials import FILE, read_file, write_file
from kwe.local.bootstrap import (
    DEFAULT_ORGANIZATION,
    connection,
    create_key,
    ensure_organization,
    is_valid_key,
)
from kwe.local.checking import check_redis, check_settings
from kwe.local.settings import keep_environment

Progress = Callable[[str, float], None]
"""Hears what was done, and how many seconds it took."""

KEY_NAME: Final = "kwe up"
FIRST: Final = "-1"
START_ATTEMPTS_MAX: Final = 3


class LocalStack:
    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        *,
        replicas: Mapping[str, int] | None = None,
        progress: Progress = lambda _what, _seconds: None,
        notify: Callable[[ServiceStatus], None] = lambda _: None,
        hurry: asyncio.Event | None = None,
    ) -> None:
        """`notify` hears of every change of a service's state; `hurry` ends the patience of stopping."""
        self.folder = folder
        self.environment = LocalEnvironment(folder, variables)
        self._given = dict(variables)
        self._port_is_given = bool(variables.get("PORT"))
        self._replicas = dict(replicas or {})
        self._progress = progress
        self._notify = notify
        self._hurry = hurry
        self._stack = AsyncExitStack()
        self.url = ""
        self.api_key = ""
        self.organization_id: UUID | None = None
        self.supervisor = self._new_supervisor()

    async def __aenter__(self) -> Self:
        check_settings(self._given)
        await check_redis(self._given)
        async with AsyncExitStack() as stack:
            await self._timed("PostgreSQL and Valkey", stack.enter_async_context(self.environment))
            await self._timed("database", self._prepare_database())
            stack.push_async_callback(self.supervisor.stop, hurry=self._hurry)
            await self._timed("services", self._start_services())
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def scale(self, service: str, replicas: int) -> None:
        """Start or drain processes of one service until there are so many; returns when the new ones are ready.

        Gateways cannot be scaled here: users know them by their port.
        """
        if service == "gateway":
            raise ValueError("gateways are not scaled while running: users know them by their port")
        wanted = {each.name: each for each in self._specs(self._only(service, replicas))}
        running = {each.name for each in self.supervisor.statuses() if _is_of(each.name, service)}
        self._replicas[service] = replicas
        await self.supervisor.start([wanted[name] for name in sorted(set(wanted) - running)])
        await self.supervisor.dismiss(sorted(running - set(wanted)))

    def _only(self, service: str, replicas: int) -> dict[str, int]:
        return {each: replicas if each == service else 0 for each in SERVICES}

    def _specs(self, replicas: Mapping[str, int]) -> list[ServiceSpec]:
        return [_with_instance(spec) for spec in service_specs(self.environment, replicas)]

    def _new_supervisor(self) -> Supervisor:
        environment = self.environment
        return Supervisor(
            logs=environment.logs,
            metrics_port_first=environment.metrics_port_first,
            notify=self._notify,
        )

    async def _prepare_database(self) -> None:
        variables = self._variables()
        await migrate(read(DatabaseSettings, variables))
        async with connection(variables) as database:
            self.organization_id, _ = await ensure_organization(database, DEFAULT_ORGANIZATION)
            kept = self.folder / FILE
            text = read_file(kept).get("KWE_API_KEY", "") if kept.exists() else ""
            if not await is_valid_key(database, self.organization_id, text):
                text = await create_key(database, self.organization_id, ["admin"], name=KEY_NAME)
            self.api_key = text

    async def _start_services(self) -> None:
        for _ in range(START_ATTEMPTS_MAX - 1):
            try:
                return await self._start_services_once()
            except StartFailed as error:
                # A port that nobody asked for by number was free a moment ago: the next one may do.
                if self._port_is_given or " PORT=" not in str(error):
                    raise
        return await self._start_services_once()

    async def _start_services_once(self) -> None:
        specs = self._specs(self._replicas)
        self.url = next(_url(spec) for spec in specs if "PORT" in spec.env)
        write_file(
            self.folder,
            {
                "KWE_URL": self.url,
                "KWE_API_KEY": self.api_key,
                "KWE_ORGANIZATION_ID": str(self.organization_id),
            },
        )
        keep_environment(self.folder, self._variables())
        await self.supervisor.start(specs)

    def _variables(self) -> dict[str, str]:
        environment = self.environment
        return {
            **environment.variables,
            "DATABASE_URL": environment.database_url,
            "REDIS_URL": environment.redis_url,
        }

    async def _timed(self, what: str, work: Awaitable[Any]) -> None:
        began = time.monotonic()
        await work
        self._progress(what, time.monotonic() - began)


def _with_instance(spec: ServiceSpec) -> ServiceSpec:
    """A name that stays the same when the process is started again."""
    instance = spec.name if spec.name[-1].isdigit() else f"{spec.name}{FIRST}"
    return dataclasses.replace(spec, name=instance, env={**spec.env, "INSTANCE": instance})


def _is_of(name: str, service: str) -> bool:
    return name.rpartition("-")[0] == service


def _url(spec: ServiceSpec) -> str:
    return f"http://{spec.probe_host}:{spec.env['PORT']}"
