"""What every handler may use. Built once in `gateway.app`, never reached through globals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from common.settings import GatewaySettings

if TYPE_CHECKING:
    from common.health import Health
    from common.security import TokenIssuer
    from common.security.vault import Vault
    from gateway.catalogue import Catalogue
    from gateway.credentials import Credentials
    from gateway.limits.limiter import Limiter
    from gateway.owners import Owners
    from gateway.payloads import Payloads
    from gateway.reads.database import Database
    from gateway.sse.deltas import Deltas
    from gateway.sse.hub import Hub


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    settings: GatewaySettings
    database: Database
    owners: Owners
    credentials: Credentials
    limiter: Limiter
    payloads: Payloads
    hub: Hub
    deltas: Deltas
    catalogue: Catalogue
    health: Health
    issuer: TokenIssuer | None
    """None where tokens are not used: JWT_SECRET is not set."""

    vault: Vault
    """Seals secrets before they leave this process."""


GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
