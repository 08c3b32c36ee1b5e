"""The first organisation and key of an installation, straight in PostgreSQL: no API can be asked yet."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import asyncpg

from common.errors import ConfigurationError
from common.ids import uuid7
from common.postgres import connect
from common.security import hash_key, key_id_of, new_api_key
from common.settings import DatabaseSettings, read

DEFAULT_ORGANIZATION: Final = "default"

Connection = Any
"""asyncpg's, or what its pool lends."""

_FIND_ORGANIZATION: Final = "SELECT id FROM workflow.organizations WHERE name = $1"
_CREATE_ORGANIZATION: Final = """
INSERT INTO workflow.organizations (id, name, max_concurrent_executions) VALUES ($1, $2, $3)
ON CONFLICT (name) DO NOTHING RETURNING id"""
_CREATE_KEY: Final = """
INSERT INTO workflow.api_keys (id, organization_id, hash, name, scopes, created_at)
VALUES ($1, $2, decode($3, 'hex'), $4, $5, $6)"""
_LIST_KEYS: Final = """
SELECT id, name, scopes, created_at, expires_at, revoked_at FROM workflow.api_keys
WHERE organization_id = $1 ORDER BY id DESC"""
_REVOKE_KEY: Final = """
UPDATE workflow.api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1 RETURNING id"""
_FIND_KEY: Final = """
SELECT 1 FROM workflow.api_keys
WHERE id = $1 AND hash = decode($2, 'hex') AND organization_id = $3 AND revoked_at IS NULL
  AND (expires_at IS NULL OR expires_at > now())"""


@asynccontextmanager
async def connection(environ: Mapping[str, str]) -> AsyncGenerator[Connection, None]:
    """A connection to DATABASE_URL, which must have been migrated."""
    opened = await connect(read(DatabaseSettings, environ), application_name="kwe-admin")
    try:
        yield opened
    except asyncpg.UndefinedTableError:
        raise ConfigurationError(
            "the database has no tables yet: run `kwe migrate` first"
        ) from None
    finally:
        await opened.close(timeout=5)


async def find_organization(database: Connection, name: str) -> UUID | None:
    found = await database.fetchval(_FIND_ORGANIZATION, name)
    return None if found is None else UUID(int=found.int)


async def ensure_organization(
    database: Connection, name: str, *, max_concurrent: int = 0
) -> tuple[UUID, bool]:
    """The id of the organisation of this name, and whether it was created just now."""
    created = await database.fetchval(_CREATE_ORGANIZATION, uuid7(), name, max_concurrent)
    if created is not None:
        return UUID(int=created.int), True
    found = await find_organization(database, name)
    assert found is not None, "an insert that conflicts has met the row"
    return found, False


async def create_key(
    database: Connection, organization_id: UUID, scopes: Sequence[str], *, name: str
) -> str:
    """The text of a new key. It is kept nowhere."""
    key = new_api_key(uuid7())
    await database.execute(
        _CREATE_KEY, key.id, organization_id, key.hash, name, list(scopes), datetime.now(UTC)
    )
    return key.text


async def list_keys(database: Connection, organization_id: UUID) -> list[dict[str, Any]]:
    """What is known of the organisation's keys, newest first; the keys themselves are kept nowhere."""
    return [dict(row) for row in await database.fetch(_LIST_KEYS, organization_id)]


async def revoke_key(database: Connection, key_id: UUID) -> bool:
    """Whether there is such a key. It opens nothing any more, a few seconds from now at the latest."""
    return await database.fetchval(_REVOKE_KEY, key_id) is not None


async def is_valid_key(database: Connection, organization_id: UUID, text: str) -> bool:
    key_id = key_id_of(text)
    if key_id is None:
        return False
    found = await database.fetchval(_FIND_KEY, key_id, hash_key(text), organization_id)
    return found is not None
