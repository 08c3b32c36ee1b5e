"""Free TCP ports on this host.

A port that is free now may be taken a moment later, so whoever asks must be ready to ask again.
"""

import socket
from collections.abc import Collection
from pathlib import Path

from embedded.errors import EmbeddedError, PortTaken

HOST = "127.0.0.1"
PORTS_TRIED_MAX = 1000


def is_free(port: int, host: str = HOST) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections that linger in TIME_WAIT are no obstacle, listeners are.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(first: int, *, avoid: Collection[int] = ()) -> int:
    """The first free port from `first` up that is not in `avoid`."""
    for port in range(first, min(first + PORTS_TRIED_MAX, 65536)):
        if port not in avoid and is_free(port):
            return port
    raise EmbeddedError(f"no free port from {first} to {first + PORTS_TRIED_MAX} on {HOST}")


def require_free(port: int, *, purpose: str) -> int:
    if not is_free(port):
        raise PortTaken(
            f"port {port} on {HOST} is taken, and it was asked for {purpose}. "
            f"Choose another, or leave it out to get a free one."
        )
    return port


class RememberedPort:
    """The port of a data folder: the same at every start, as long as nobody else took it."""

    def __init__(self, file: Path, *, first: int, purpose: str, fixed: int | None) -> None:
        self._file = file
        self._first = first
        self._purpose = purpose
        self._fixed = fixed
        self._avoid: set[int] = set()

    @property
    def changeable(self) -> bool:
        return self._fixed is None

    def choose(self) -> int:
        if self._fixed is not None:
            return require_free(self._fixed, purpose=self._purpose)
        port = self.latest()
        if port is None or port in self._avoid or not is_free(port):
            port = free_port(self._first, avoid=self._avoid)
        self._file.write_text(f"{port}\n")
        return port

    def lost(self, port: int) -> None:
        """Somebody was quicker: do not choose it again."""
        self._avoid.add(port)

    def latest(self) -> int | None:
        """The port of the latest start, or `None` before the first."""
        try:
            return int(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return None
