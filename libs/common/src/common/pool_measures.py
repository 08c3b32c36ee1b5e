"""How busy the connection pools of this process are, read when metrics are."""

import weakref
from typing import Any

import asyncpg

from common.metrics import POOL_CONNECTIONS, POOL_CONNECTIONS_MAX


def measure_pool(pool: "asyncpg.Pool[Any]", name: str) -> None:
    """Show the pool as `name`. A later pool of the same name takes its place."""
    watched = weakref.ref(pool)

    def idle() -> float:
        found = watched()
        return found.get_idle_size() if found is not None else 0

    def used() -> float:
        found = watched()
        return found.get_size() - found.get_idle_size() if found is not None else 0

    POOL_CONNECTIONS.labels(name, "idle").set_function(idle)
    POOL_CONNECTIONS.labels(name, "used").set_function(used)
    POOL_CONNECTIONS_MAX.labels(name).set(pool.get_max_size())
