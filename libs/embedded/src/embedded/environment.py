"""What the services of one machine need around them: a database, a Valkey, shared secrets.

    async with LocalEnvironment(Path(".kwe"), os.environ) as environment:
        specs = service_specs(environment, {"gateway": 1, "orchestrator": 2, …})

Whatever the variables already name is used as it is, and then nothing is started in its place.
Everything that is kept lies in the folder: `postgres/`, `valkey/`, `secrets/`, `logs/`.
"""

import asyncio
import base64
import contextlib
import secrets
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from embedded.errors import EmbeddedError
from embedded.folder import FolderLock, write_private
from embedded.ports import free_port, require_free
from embedded.postgres import EmbeddedPostgres
from embedded.server import EmbeddedServer
from embedded.supervised import ServiceSpec
from embedded.supervisor import METRICS_PORT_FIRST
from embedded.valkey import EmbeddedValkey

SERVICES: Final = ("orchestrator", "executor", "knowledge", "gateway")
"""In the order in which they are listed. The gateway is stopped first, so that nobody is let in
while those behind it drain."""
GATEWAY_PORT_FIRST: Final = 3000
HOST: Final = "127.0.0.1"


class LocalEnvironment:
    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        """`variables` is the environment of the user, such as `os.environ`."""
        self.folder = folder.resolve()
        self.logs = self.folder / "logs"
        self._given = dict(variables)
        self._made: dict[str, str] = {}
        self._stack = AsyncExitStack()
        self.postgres: EmbeddedPostgres | None = None
        """`None` when DATABASE_URL names a server of the user's own."""
        self.valkey: EmbeddedValkey | None = None
        """`None` when REDIS_URL names a server of the user's own."""

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of every service: the user's own variables, completed by ours."""
        return {"HOST": HOST, "PYTHONUNBUFFERED": "1", **self._given, **self._made}

    @property
    def database_url(self) -> str:
        return self._value("DATABASE_URL")

    @property
    def redis_url(self) -> str:
        return self._value("REDIS_URL")

    @property
    def metrics_port_first(self) -> int:
        """For the supervisor: METRICS_PORT where it is set."""
        asked = self._given.get("METRICS_PORT")
        if not asked:
            return METRICS_PORT_FIRST
        if not asked.isdecimal():
            raise EmbeddedError("METRICS_PORT must be a number")
        return int(asked)

    async def start(self) -> None:
        """Start what is missing. When it fails, nothing of it is left running."""
        async with AsyncExitStack() as stack:
            self._claim_folder(stack)
            self._make_secrets()
            await self._start_postgres(stack)
            await self._start_valkey(stack)
            self._stack = stack.pop_all()

    def attach(self) -> None:
        """Use the servers that another process keeps running on this folder. Starts nothing."""
        if not FolderLock(self.folder).is_taken():
            raise EmbeddedError(f"nothing is running on {self.folder}: start it with `kwe up`")
        self._make_secrets()
        if not self._has("DATABASE_URL"):
            self._made["DATABASE_URL"] = EmbeddedPostgres(self.folder / "postgres").dsn
        if not self._has("REDIS_URL"):
            self._made["REDIS_URL"] = EmbeddedValkey(self.folder / "valkey").url

    async def stop(self) -> None:
        """Stop what was started, keeping the data. May be called twice."""
        await self._stack.aclose()

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

    def _claim_folder(self, stack: AsyncExitStack) -> None:
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EmbeddedError(
                f"the folder {self.folder} cannot be used: {error.strerror or error}"
            ) from error
        lock = FolderLock(self.folder)
        lock.acquire()
        stack.callback(lock.release)

    async def _start_postgres(self, stack: AsyncExitStack) -> None:
        if self._has("DATABASE_URL"):
            return
        log = self.logs / "postgres.log"
        self.postgres = EmbeddedPostgres(self.folder / "postgres", log=log)
        await _run(self.postgres, stack)
        self._made["DATABASE_URL"] = self.postgres.dsn

    async def _start_valkey(self, stack: AsyncExitStack) -> None:
        if self._has("REDIS_URL"):
            return
        self.valkey = EmbeddedValkey(self.folder / "valkey", log=self.logs / "valkey.log")
        await _run(self.valkey, stack)
        self._made["REDIS_URL"] = self.valkey.url

    def _make_secrets(self) -> None:
        """Keys that several processes must share, and that must be the same after a restart."""
        self._keep_secret("JWT_SECRET", lambda: secrets.token_urlsafe(48))
        self._keep_secret(
            "ENCRYPTION_KEY", lambda: base64.b64encode(secrets.token_bytes(32)).decode()
        )

    def _keep_secret(self, name: str, make: Callable[[], str]) -> None:
        if self._has(name):
            return
        file = self.folder / "secrets" / name.lower()
        if not file.exists():
            file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(file, make())
        self._made[name] = file.read_text().strip()

    def _has(self, name: str) -> bool:
        """An empty variable counts as unset, as it does for the services."""
        return bool(self._given.get(name) or self._given.get(f"{name}_FILE"))

    def _value(self, name: str) -> str:
        value = self.variables.get(name)
        if value:
            return value
        file = self._given.get(f"{name}_FILE")
        if not file:
            raise EmbeddedError(f"{name} is known only once the environment has been started")
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise EmbeddedError(f"{name}_FILE cannot be read: {error.strerror}: {file}") from error


async def _run(server: EmbeddedServer, stack: AsyncExitStack) -> None:
    """Start it, and start it again if it crashes, until the stack is unwound."""
    stack.push_async_callback(server.stop)
    await server.start()
    keeper = asyncio.create_task(server.keep(), name=f"keep {server.name}")

    async def let_go() -> None:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper

    stack.push_async_callback(let_go)


def service_specs(environment: LocalEnvironment, replicas: Mapping[str, int]) -> list[ServiceSpec]:
    """The processes to supervise: `executor`, `executor-2`, … for each service and replica.

    A gateway also gets `PORT`: the one the user asked for, which must be free, or the first free
    one from 3000 up; further gateways the next free ones.
    """
    if unknown := sorted(set(replicas) - set(SERVICES)):
        raise EmbeddedError(f"no service is called {unknown[0]}; there are {', '.join(SERVICES)}")
    return [
        spec
        for service in SERVICES
        for spec in _replicas(environment, service, replicas.get(service, 1))
    ]


def _replicas(environment: LocalEnvironment, service: str, count: int) -> list[ServiceSpec]:
    ports: list[int] = []
    specs = []
    for number in range(1, count + 1):
        env = dict(environment.variables)
        if service == "gateway":
            ports.append(_gateway_port(env.get("PORT"), ports))
            env["PORT"] = str(ports[-1])
        specs.append(
            ServiceSpec(
                name=service if number == 1 else f"{service}-{number}",
                argv=[sys.executable, "-m", service],
                env=env,
                stage=1 if service == "gateway" else 0,
                probe_host=_reachable(env["HOST"]),
            )
        )
    return specs


def _gateway_port(asked: str | None, taken: list[int]) -> int:
    if not asked:
        return free_port(GATEWAY_PORT_FIRST, avoid=taken)
    if not asked.isdecimal():
        raise EmbeddedError("PORT must be a number")
    if taken:
        return free_port(int(asked) + 1, avoid=taken)
    return require_free(int(asked), purpose="for the gateway by PORT")


def _reachable(host: str) -> str:
    """Where a service that listens on `host` answers on this machine."""
    return HOST if host in {"", "0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
