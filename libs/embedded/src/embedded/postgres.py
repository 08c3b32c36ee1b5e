"""PostgreSQL from a wheel, as one child process of ours.

    server = EmbeddedPostgres(Path(".kwe/postgres"))
    await server.start()          # the first start creates the cluster and the database
    await asyncpg.connect(server.dsn)
    await server.stop()           # the data stays

Below the folder: `cluster/` (PostgreSQL's own), `password` (0600), `port`, `owner.lock` and,
unless told otherwise, `postgres.log`. Only TCP on 127.0.0.1 with SCRAM lets anyone in.
"""

import os
import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncpg

from embedded import tuning
from embedded.binaries import postgres_programs
from embedded.errors import EmbeddedError, StartFailed
from embedded.folder import write_private
from embedded.identity import Identity, unprivileged
from embedded.ports import HOST, RememberedPort
from embedded.process import Child, Command
from embedded.server import EmbeddedServer

USER: Final = "kwe"
DATABASE: Final = "kwe"
PORT_FIRST: Final = 15432


class EmbeddedPostgres(EmbeddedServer):
    name = "PostgreSQL"
    program = "postgres"
    # Its "fast" shutdown: roll back what is open, checkpoint, end.
    orderly = signal.SIGINT

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
        folder = folder.resolve()
        super().__init__(
            folder,
            data=folder / "cluster",
            log=log or folder / "postgres.log",
            port=RememberedPort(
                folder / "port", first=PORT_FIRST, purpose="for PostgreSQL", fixed=port
            ),
        )
        self._settings = dict(settings or {})
        self._identity = identity or unprivileged()

    @property
    def dsn(self) -> str:
        return self.dsn_of(DATABASE)

    def dsn_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password()}@{HOST}:{self.port}/{database}"

    def _password(self) -> str:
        return (self._folder / "password").read_text().strip()

    def _prepare_folder(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # `nobody` must pass through; everybody else has no business here.
        self._folder.chmod(0o711 if self._identity.uid else 0o700)
        if not (self._folder / "password").exists():
            write_private(self._folder / "password", secrets.token_hex(24))

    async def _prepare_data(self) -> None:
        if not (self._data / "PG_VERSION").exists():
            await self._create_cluster()
        self._require_same_major()
        # Of a server that is gone; its process id may belong to somebody else by now.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

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
        child = self._run(_initdb(unfinished, password))
        try:
            if await child.wait() != 0:
                raise StartFailed(f"initdb failed; {self._log} ends with:\n{child.log_tail()}")
        finally:
            await child.end()
            password.unlink()
        unfinished.rename(self._data)

    def _require_same_major(self) -> None:
        major = (self._data / "PG_VERSION").read_text().strip()
        if major != _major():
            raise EmbeddedError(
                f"{self._data} was written by PostgreSQL {major}, the installed one is "
                f"{_major()}. Export it with the old release and import it here, or delete "
                f"{self._folder} to start empty."
            )

    def _spawn(self, port: int) -> Child:
        settings = {**tuning.POSTGRES, "port": str(port)}
        if int(_major()) >= 18:
            settings.update(tuning.POSTGRES_18)
        settings.update(self._settings)
        options = [f"--{name}={value}" for name, value in settings.items()]
        return self._run([str(postgres_programs() / "postgres"), "-D", str(self._data), *options])

    def _run(self, argv: list[str]) -> Child:
        return Child.spawn(
            Command(
                argv=argv,
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                log=self._log,
                cwd=Path("/"),
                on_parent_death=self.orderly,
                prefix=self._identity.prefix,
                uid=self._identity.uid,
            )
        )

    async def _answers(self, child: Child, port: int) -> bool:
        """Read its own note: the first line is its process id, the eighth its state."""
        del port
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(child.pid) and lines[7].strip() == "ready"

    async def _complete(self) -> None:
        connection = await asyncpg.connect(self.dsn_of("postgres"))
        try:
            known = "SELECT 1 FROM pg_database WHERE datname = $1"
            if await connection.fetchval(known, DATABASE) is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await connection.close()


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
