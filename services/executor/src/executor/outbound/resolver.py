"""Name resolution that answers only with addresses a task may connect to.

The client connects to exactly what is answered here, so a name cannot point elsewhere between check and use.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from executor.outbound.addresses import OutboundRules, literal

RESOLVE_SECONDS = 5.0


class AddressRefused(OSError):
    """Every address of the host is one that tasks must not reach."""


class GuardedResolver(AbstractResolver):
    def __init__(self, rules: OutboundRules) -> None:
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(RESOLVE_SECONDS):
            infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=family)
        results = [
            ResolveResult(
                hostname=host,
                host=str(sockaddr[0]),
                port=port,
                family=found_family,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found_family, _, proto, _, sockaddr in infos
            if self._is_allowed(host, port, str(sockaddr[0]))
        ]
        if not results:
            raise AddressRefused(f"{host} resolves to no address that tasks may reach")
        return results

    def _is_allowed(self, host: str, port: int, text: str) -> bool:
        address = literal(text)
        return address is not None and self._rules.allows(host, port, address)

    async def close(self) -> None:
        pass
