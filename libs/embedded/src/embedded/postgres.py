"""PostgreSQL from a wheel, as one child process of ours.

    server = EmbeddedPostgres(Path(".kwe/postgres"))
    await server.start()          # the first start creates the cluster and the database
    await asyncpg.connect(server.dsn)
    await server.stop()           # the data stays

Below the folder: `cluster/` (PostgreSQL's own), `password` (0600), `port`, `owner.lock` and,
unless told otherwise, `postgres.log`. Only TCP on 127.0.0.1 with SCRAM lets anyone in.
"""

import asyncio
import os
import secrets
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from embedded import tuning
from embedded.binaries import postgres_programs
from embedded.errors import EmbeddedError, StartFailed
from embedded.folder import FolderLock, processes_in, stop_orphans, write_private
from embedded.identity import Identity, unprivileged
from embedded.ports import HOST, RememberedPort
from embedded.process import Child, Command

USER: Final = "kwe"
DATABASE: Final = "kwe"
PORT_FIRST: Final = 15432
PROGRAM: Final = "postgres"
START_SECONDS_MAX: Final = 60.0
STOP_GRACE_SECONDS: Final = 20.0
START_ATTEMPTS_MAX: Final = 5
POLL_SECONDS: Final = 0.03
ORDERLY: Final = signal.SIGINT
"""PostgreSQL's "fast" shutdown: roll back what is open, checkpoint, end."""


class EmbeddedPostgres:
    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
        identity: Identity | None = None,
    ) -> None:
        """`port=None` takes a free one and keeps it in the folder; `settings` override ours.

        `identity=None` finds out who may run PostgreSQL here.
        """
        self._folder = folder.resolve()
        self._cluster = self._folder / "cluster"
        self._log = log or self._folder / "postgres.log"
        self._settings = dict(settings or {})
        self._identity = identity or unprivileged()
        self._lock = FolderLock(self._folder)
        self._port = RememberedPort(
            self._folder / "port", first=PORT_FIRST, purpose="for PostgreSQL", fixed=port
        )
        self._child: Child | None = None
        self._listening = 0

    @property
    def port(self) -> int:
        """The port of the latest start."""
        return self._listening

    @property
    def dsn(self) -> str:
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password()}@{HOST}:{self.port}/{database}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self.running and self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    async def start(self) -> None:
        """Start, and return once it answers. Does nothing when it already runs."""
        if self.running:
            return
        self._prepare_folder()
        self._lock.acquire()
        try:
            await stop_orphans(self._cluster, PROGRAM, ask=ORDERLY)
            if not (self._cluster / "PG_VERSION").exists():
                await self._create_cluster()
            self._require_same_major()
            # Of a server that is gone; its process id may belong to somebody else by now.
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)
            await self._start_on_a_free_port()
            await self._ensure_database()
        except BaseException:
            self._abandon()
            raise

    async def stop(self) -> None:
        """Stop in order, keeping the data. May be called twice, or before a start."""
        if not self._lock.held:
            return
        if self._child is not None:
            await self._child.stop(ORDERLY, grace_seconds=STOP_GRACE_SECONDS)
        await stop_orphans(self._cluster, PROGRAM, ask=ORDERLY)
        self._lock.release()

    async def kill(self) -> None:
        """kill -9 of the server and all its backends. Keeps the folder, for the next start."""
        if not self._lock.held:
            return
        for process in processes_in(self._cluster, PROGRAM):
            os.kill(process.pid, signal.SIGKILL)
        if self._child is not None:
            await self._child.wait()
        await stop_orphans(self._cluster, PROGRAM, ask=signal.SIGKILL)

    async def restart(self) -> None:
        """Stop in order (or find it dead) and start again on the same port."""
        await self.stop()
        await self.start()

    def _prepare_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # `nobody` must pass through; everybody else has no business here.
        self._folder.chmod(0o711 if self._identity.uid else 0o700)
        if not (self._folder / "password").exists():
            write_private(self._folder / "password", secrets.token_hex(24))

    def _password(self) -> str:
        return (self._folder / "password").read_text().strip()

    async def _create_cluster(self) -> None:
        """Create it aside and move it into place, so that half a cluster is never started."""
        unfinished = self._folder / "cluster.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        password = self._folder / "initdb.password"
        write_private(password, self._password())
        for path in (unfinished, password):
            self._identity.own(path)
            self._identity.require_passage(path)
        self._identity.require_passage(postgres_programs())
        try:
            child = self._spawn(_initdb(unfinished, password))
            if await child.wait() != 0:
                raise StartFailed(f"initdb failed; {self._log} ends with:\n{child.log_tail()}")
        finally:
            password.unlink()
        unfinished.rename(self._cluster)

    def _require_same_major(self) -> None:
        major = (self._cluster / "PG_VERSION").read_text().strip()
        if major != _major():
            raise EmbeddedError(
                f"{self._cluster} was written by PostgreSQL {major}, the installed one is "
                f"{_major()}. Export it with the old release and import it here, or delete "
                f"{self._folder} to start empty."
            )

    async def _start_on_a_free_port(self) -> None:
        for _ in range(START_ATTEMPTS_MAX):
            port = self._port.choose()
            self._child = self._spawn(self._server_argv(port))
            if await self._ready(self._child):
                self._listening = port
                return
            if not (self._port.changeable and "could not bind" in self._child.log_tail()):
                break
            self._port.lost(port)
        assert self._child is not None
        raise StartFailed(
            f"PostgreSQL did not start; {self._log} ends with:\n{self._child.log_tail()}"
        )

    async def _ready(self, child: Child) -> bool:
        """Whether it came to accept connections. `False` when it ended or took too long."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while child.running and time.monotonic() < deadline:
            if _says_ready(self._cluster / "postmaster.pid", child.pid):
                return True
            await asyncio.sleep(POLL_SECONDS)
        return False

    async def _ensure_database(self) -> None:
        connection = await asyncpg.connect(self.dsn_of("postgres"))
        try:
            known = "SELECT 1 FROM pg_database WHERE datname = $1"
            if await connection.fetchval(known, DATABASE) is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()

    def _server_argv(self, port: int) -> list[str]:
        settings = {**tuning.POSTGRES, "port": str(port)}
        if int(_major()) >= 18:
            settings.update(tuning.POSTGRES_18)
        settings.update(self._settings)
        argv = [str(postgres_programs() / "postgres"), "-D", str(self._cluster)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        return argv

    def _spawn(self, argv: list[str]) -> Child:
        return Child.spawn(
            Command(
                argv=argv,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                log=self._log,
                cwd=Path("/"),
                on_parent_death=ORDERLY,
                prefix=self._identity.prefix,
                uid=self._identity.uid,
            )
        )

    def _abandon(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._lock.release()


def _initdb(cluster: Path, password: Path) -> list[str]:
    return [
        str(postgres_programs() / "initdb"),
        f"--pgdata={cluster}",
        f"--username={USER}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # The same order and case rules on every machine, whatever its locales.
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        # The password is 192 random bits: stretching it would only slow down each connection.
        "--set=scram_iterations=1",
    ]


def _major() -> str:
    """The major version of the installed programs, from the catalog they create clusters from."""
    catalog = postgres_programs().parent / "share" / "postgres.bki"
    with catalog.open() as file:
        return file.readline().split()[-1]


def _says_ready(pid_file: Path, pid: int) -> bool:
    """PostgreSQL keeps its process id in the first line of this file and its state in the eighth."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"
