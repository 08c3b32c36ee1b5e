"""How busy the connection pools of this process are, read when metrics are."""

from typing import Any

import asyncpg

from common.metrics import POOL_CONNECTIONS, POOL_CONNECTIONS_MAX


def measure_pool(pool: "asyncpg.Pool[Any]", name: str) -> None:
    """Show the pool as `name`. A later pool of the same name takes its place."""
    POOL_CONNECTIONS.labels(name, "idle").set_function(pool.get_idle_size)
    POOL_CONNECTIONS.labels(name, "used").set_function(
        lambda: pool.get_size() - pool.get_idle_size()
    )
    POOL_CONNECTIONS_MAX.labels(name).set(pool.get_max_size())
