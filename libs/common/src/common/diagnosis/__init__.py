"""What a server must be able to do for us, judged once: services refuse to start by it, `kwe doctor` reports it."""

from common.diagnosis.findings import Finding, Level
from common.diagnosis.starting import require_database, require_redis

__all__ = ["Finding", "Level", "require_database", "require_redis"]
