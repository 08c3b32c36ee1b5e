"""Valkey (speaks the Redis protocol) from a wheel, as one child process of ours.

Below the folder: `data/` (append-only files), `valkey.conf` and `password` (0600), `port`,
`owner.lock` and, unless told otherwise, `valkey.log`. It listens on 127.0.0.1 and asks for the
password, because on a shared machine every user can reach a local port.
"""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from embedded import tuning
from embedded.binaries import valkey_server
from embedded.errors import StartFailed
from embedded.folder import FolderLock, stop_orphans, write_private
from embedded.ports import HOST, RememberedPort
from embedded.process import Child, Command

PORT_FIRST: Final = 16379
PROGRAM: Final = "valkey-server"
START_SECONDS_MAX: Final = 60.0
STOP_GRACE_SECONDS: Final = 10.0
START_ATTEMPTS_MAX: Final = 5
POLL_SECONDS: Final = 0.03
BAD_FILE: Final = "Bad file format reading the append only file"


class EmbeddedValkey:
    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """`port=None` takes a free one and keeps it in the folder; `settings` override ours."""
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._log = log or self._folder / "valkey.log"
        self._settings = dict(settings or {})
        self._lock = FolderLock(self._folder)
        self._port = RememberedPort(
            self._folder / "port", first=PORT_FIRST, purpose="for Valkey", fixed=port
        )
        self._child: Child | None = None
        self._listening = 0

    @property
    def port(self) -> int:
        """The port of the latest start."""
        return self._listening

    @property
    def url(self) -> str:
        return self._url(self.port)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self.running and self._child else None

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    async def start(self) -> None:
        """Start, and return once it has loaded its data. Does nothing when it already runs."""
        if self.running:
            return
        self._data.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if not (self._folder / "password").exists():
            write_private(self._folder / "password", secrets.token_hex(24))
        self._lock.acquire()
        try:
            await stop_orphans(self._data, PROGRAM, ask=signal.SIGTERM)
            await self._start_on_a_free_port()
        except BaseException:
            self._abandon()
            raise

    async def stop(self) -> None:
        """Stop in order, keeping the data. May be called twice, or before a start."""
        if not self._lock.held:
            return
        if self._child is not None:
            await self._child.stop(signal.SIGTERM, grace_seconds=STOP_GRACE_SECONDS)
        await stop_orphans(self._data, PROGRAM, ask=signal.SIGTERM)
        self._lock.release()

    async def kill(self) -> None:
        """kill -9: up to a second of writes may be lost, as `appendfsync everysec` says."""
        if self._child is not None:
            self._child.kill()
            await self._child.wait()

    async def restart(self) -> None:
        """Stop in order (or find it dead) and start again on the same port."""
        await self.stop()
        await self.start()

    def _url(self, port: int) -> str:
        return f"redis://:{self._password()}@{HOST}:{port}/0"

    def _password(self) -> str:
        return (self._folder / "password").read_text().strip()

    async def _start_on_a_free_port(self) -> None:
        for _ in range(START_ATTEMPTS_MAX):
            port = self._port.choose()
            self._child = self._spawn(port)
            if await self._ready(self._child, port):
                self._listening = port
                return
            if not self._recovered(port, self._child.log_tail()):
                break
        assert self._child is not None
        raise StartFailed(f"Valkey did not start; {self._log} ends with:\n{self._child.log_tail()}")

    def _recovered(self, port: int, said: str) -> bool:
        """Whether trying again makes sense, given what it said before it ended."""
        if self._port.changeable and "Address already in use" in said:
            self._port.lost(port)
            return True
        if BAD_FILE in said:
            # Nothing here is the only copy of anything: what is missing is published again.
            broken = self._data / "appendonlydir"
            broken.rename(self._folder / f"broken-appendonlydir-{time.time_ns()}")
            return True
        return False

    async def _ready(self, child: Child, port: int) -> bool:
        """Whether it came to answer. `False` when it ended or took too long."""
        deadline = time.monotonic() + START_SECONDS_MAX
        client = Redis.from_url(self._url(port), retry=Retry(NoBackoff(), 0))
        async with client:
            while child.running and time.monotonic() < deadline:
                try:
                    await client.ping()
                except (RedisError, OSError):
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    return child.running
        return False

    def _spawn(self, port: int) -> Child:
        configuration = self._folder / "valkey.conf"
        settings = {
            **tuning.VALKEY,
            **self._settings,
            "port": str(port),
            "dir": f'"{self._data}"',
            "requirepass": self._password(),
        }
        # In a file rather than in arguments, which every user of the machine can read.
        write_private(configuration, "\n".join(f"{k} {v}" for k, v in settings.items()))
        return Child.spawn(
            Command(
                argv=[str(valkey_server()), str(configuration)],
                env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
                log=self._log,
                cwd=self._data,
                on_parent_death=signal.SIGTERM,
            )
        )

    def _abandon(self) -> None:
        if self._child is not None:
            self._child.kill()
        self._lock.release()
