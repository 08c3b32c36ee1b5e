"""Valkey (speaks the Redis protocol) from a wheel, as one child process of ours.

Below the folder: `data/` (append-only files), `valkey.conf` and `password` (0600), `port`,
`owner.lock` and, unless told otherwise, `valkey.log`. It listens on 127.0.0.1 and asks for the
password, because on a shared machine every user can reach a local port.
"""

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
from embedded.folder import write_private
from embedded.ports import HOST, RememberedPort
from embedded.process import Child, Command
from embedded.server import EmbeddedServer

PORT_FIRST: Final = 16379
BAD_FILE: Final = "Bad file format reading the append only file"


class EmbeddedValkey(EmbeddedServer):
    name = "Valkey"
    program = "valkey-server"
    orderly = signal.SIGTERM

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """`port=None` takes a free one and keeps it in the folder; `settings` override ours."""
        folder = folder.resolve()
        super().__init__(
            folder,
            data=folder / "data",
            log=log or folder / "valkey.log",
            port=RememberedPort(
                folder / "port", first=PORT_FIRST, purpose="for Valkey", fixed=port
            ),
        )
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        return self._url(self.port)

    def _url(self, port: int) -> str:
        return f"redis://:{self._password()}@{HOST}:{port}/0"

    def _password(self) -> str:
        return (self._folder / "password").read_text().strip()

    def _prepare_folder(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if not (self._folder / "password").exists():
            write_private(self._folder / "password", secrets.token_hex(24))

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
                on_parent_death=self.orderly,
            )
        )

    async def _answers(self, child: Child, port: int) -> bool:
        """Whether it says PONG, which it does once its data is loaded."""
        del child
        async with Redis.from_url(self._url(port), retry=Retry(NoBackoff(), 0)) as client:
            try:
                await client.ping()
            except (RedisError, OSError):
                return False
        return True

    def _mended(self, said: str) -> bool:
        if BAD_FILE not in said:
            return False
        # Nothing here is the only copy of anything: what is missing is published again.
        broken = self._data / "appendonlydir"
        broken.rename(self._folder / f"broken-appendonlydir-{time.time_ns()}")
        return True
