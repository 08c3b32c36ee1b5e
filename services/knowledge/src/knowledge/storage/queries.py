"""What repositories need of PostgreSQL: a connection, and their queries."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from common.postgres import load_queries as load_named_queries

if TYPE_CHECKING:
    import asyncpg
    from asyncpg.pool import PoolConnectionProxy

# In quotes: generic for the type checker only.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"


def load_queries(file: str) -> Mapping[str, str]:
    return load_named_queries("knowledge.storage.sql", file)
