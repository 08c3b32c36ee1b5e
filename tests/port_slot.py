"""Ports that no other tests on this machine use.

A port that a killed server leaves is free for a moment, and anybody may take it: another worker of this session, or
somebody else's. So each session takes a slot of its own, below the ports that the system gives to connections, and
holds the slot's first port for as long as it lives; with the process the slot is free again.
"""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

from embedded.ports import HOST, free_port, is_free

FIRST = 20_000
SIZE = 500
SLOTS = 24


class PortSlot:
    def __init__(self) -> None:
        self._held = _first_unheld()
        self.first: int = self._held.getsockname()[1]
        self._offsets = itertools.count(1)

    def take(self, count: int = 1) -> int:
        """A free port, and so many behind it that nobody else is told of."""
        while True:
            port = self.first + next(self._offsets) % SIZE
            for _ in range(count - 1):
                next(self._offsets)
            if is_free(port):
                return port

    def keep_for(self, folder: Path) -> Path:
        """The folder of an embedded server that does not exist yet: it will look there for its port."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "port").write_text(f"{self.take()}\n")
        return folder

    def keep_for_stack(self, folder: Path) -> dict[str, str]:
        """The same for both servers of a `.kwe`; and the variables that say where its services listen."""
        self.keep_for(folder / "postgres")
        self.keep_for(folder / "valkey")
        return {"PORT": str(self.take(10)), "METRICS_PORT": str(self.take(20))}

    def close(self) -> None:
        self._held.close()


def _first_unheld() -> socket.socket:
    for first in range(FIRST, FIRST + SLOTS * SIZE, SIZE):
        held = socket.socket()
        try:
            held.bind((HOST, first))
        except OSError:
            held.close()
        else:
            held.listen()
            return held
    # Too many sessions: they may meet, as they would without slots.
    held = socket.socket()
    held.bind((HOST, free_port(FIRST + 1)))
    held.listen()
    return held
