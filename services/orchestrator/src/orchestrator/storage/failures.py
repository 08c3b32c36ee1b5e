"""What PostgreSQL's errors mean to whoever was storing a batch."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg
import structlog

from common.postgres import is_retryable
from orchestrator.ports import DataRefused, Lost, StoreAway

CODE_BEATEN = "KW001"
CODE_KEY_TAKEN = "KW002"

REFUSALS = ("22", "23", "54")
"""Classes of errors that say something about the data: its values, constraints, limits of the server."""

log = structlog.get_logger()


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Raise `Lost`, `DataRefused` or `StoreAway` for what asyncpg raised inside."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _translate(error) from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
        # The internal one is what a connection says that was cut in the middle of an operation.
        raise StoreAway(str(error) or type(error).__name__) from error
    except (ValueError, asyncpg.exceptions.DataError) as error:
        raise DataRefused(str(error)) from error


def _translate(error: asyncpg.PostgresError) -> Exception:
    code = error.sqlstate or ""
    if code in (CODE_BEATEN, CODE_KEY_TAKEN):
        detail = getattr(error, "detail", None) or "[]"
        return Lost([UUID(each) for each in json.loads(detail)], keys_taken=code == CODE_KEY_TAKEN)
    if code[:2] in REFUSALS:
        return DataRefused(str(error))
    if not is_retryable(error):
        # Missing rights, a migration not applied: no execution's fault, so its work waits until an operator mends it.
        log.error("database_refuses", code=code, error=str(error))
    return StoreAway(str(error))
