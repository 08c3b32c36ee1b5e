"""From a request's credential to who is calling, at the cost of a dictionary look-up for those seen a moment ago."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from common.errors import Unauthenticated, Unavailable
from common.logs import get_logger
from common.security import Principal, TokenVerifier, hash_key, key_id_of, parse_scopes
from gateway.reads.database import Database
from gateway.reads.queries import KEYS

log = get_logger(__name__)

REMEMBER_SECONDS: Final = 5.0
"""How long a revoked key may still be accepted; and how seldom a busy key is looked up."""

REMEMBER_REFUSED_SECONDS: Final = 1.0
KEEP_DURING_OUTAGE_SECONDS: Final = 300.0
"""While PostgreSQL is away, keys that it vouched for a few minutes ago still open what works without it."""

ENTRIES_MAX: Final = 20_000


@dataclass(slots=True)
class _Remembered:
    principal: Principal | None
    fresh_until: float
    usable_until: float


class Credentials:
    """Tokens are verified by their signature, keys by the hash that PostgreSQL keeps."""

    def __init__(self, database: Database, verifier: TokenVerifier | None) -> None:
        self._database = database
        self._verifier = verifier
        self._remembered: OrderedDict[str, _Remembered] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[Principal | None]] = {}

    async def principal(self, headers: Mapping[str, str]) -> Principal:
        """Raise `Unauthenticated` unless the request proves who sends it."""
        text = credential_of(headers)
        if text is None:
            raise Unauthenticated(
                "Send `Authorization: Bearer` with a token or an API key, or `X-API-Key` with a key.",
                code="missing_credential",
            )
        remembered = self._remembered.get(text)
        now = time.monotonic()
        if remembered is not None and now < remembered.fresh_until:
            return _accepted(remembered.principal)
        if key_id_of(text) is None:
            return self._verify_token(text, now)
        return _accepted(await self._verify_key(text, remembered))

    def _verify_token(self, text: str, now: float) -> Principal:
        if self._verifier is None:
            raise Unauthenticated(
                "This is no API key, and tokens are not accepted here: JWT_SECRET is not set.",
                code="invalid_token",
            )
        principal = self._verifier.verify(text)
        # Seconds, so that a token is never accepted long after it has expired.
        self._remember(text, _Remembered(principal, now + REMEMBER_REFUSED_SECONDS, now))
        return principal

    async def _verify_key(self, text: str, before: _Remembered | None) -> Principal | None:
        task = self._lookups.get(text)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._look_up(text))
            self._lookups[text] = task
            task.add_done_callback(lambda _: self._lookups.pop(text, None))
        try:
            # Shielded: one caller who hangs up must not fail the others who wait for the same answer.
            return await asyncio.shield(task)
        except Unavailable:
            if before is not None and time.monotonic() < before.usable_until:
                return before.principal
            raise

    async def _look_up(self, text: str) -> Principal | None:
        digest = bytes.fromhex(hash_key(text))
        async with self._database.primary.transaction(None) as connection:
            row = await connection.fetchrow(KEYS["find_api_key"], digest)
        now = time.monotonic()
        if row is None:
            self._remember(text, _Remembered(None, now + REMEMBER_REFUSED_SECONDS, now))
            return None
        principal = Principal(
            organization_id=row["organization_id"],
            subject=f"key:{row['id']}",
            scopes=parse_scopes(row["scopes"]),
        )
        usable_until = now + KEEP_DURING_OUTAGE_SECONDS
        self._remember(text, _Remembered(principal, now + REMEMBER_SECONDS, usable_until))
        return principal

    def _remember(self, text: str, entry: _Remembered) -> None:
        self._remembered[text] = entry
        self._remembered.move_to_end(text)
        if len(self._remembered) > ENTRIES_MAX:
            self._remembered.popitem(last=False)


def credential_of(headers: Mapping[str, str]) -> str | None:
    """The token or key that a request carries."""
    authorization = headers.get("Authorization", "")
    if authorization:
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer" or not credential.strip():
            raise Unauthenticated(
                "The Authorization header must be `Bearer` and a token or an API key.",
                code="missing_credential",
            )
        return credential.strip()
    return headers.get("X-API-Key", "").strip() or None


def _accepted(principal: Principal | None) -> Principal:
    if principal is None:
        raise Unauthenticated("The API key is unknown, expired or revoked.", code="invalid_key")
    return principal
