"""Bodies too large to travel in a stream, stored before the message that names them."""

from __future__ import annotations

import hashlib
from uuid import UUID

from common.contracts.base import PayloadReference
from common.ids import uuid7
from gateway.reads.database import WRITE, Database

_INSERT = """\
-- store_payload: the only row the gateway may write. What no message comes to name is removed after a day.
INSERT INTO workflow.payloads (owner_id, id, organization_id, sha256, bytes)
VALUES ($1, $2, $3, $4, $5)
"""


class Payloads:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(self, organization_id: UUID, owner_id: UUID, body: bytes) -> PayloadReference:
        """Store a body of `owner_id`. Storing it again makes a second row, and that is harmless."""
        digest = hashlib.sha256(body)
        id = uuid7()
        async with self._database.primary.transaction(organization_id, mode=WRITE) as connection:
            await connection.execute(_INSERT, owner_id, id, organization_id, digest.digest(), body)
        return PayloadReference(owner_id=owner_id, id=id, size=len(body), sha256=digest.hexdigest())
