"""python -m gateway: the HTTP API."""

from __future__ import annotations

from common.lifecycle import run_service, run_until_signalled, start_process
from common.settings import GatewaySettings
from gateway.app import SERVICE, gateway_service


async def run(settings: GatewaySettings) -> None:
    await run_until_signalled(
        gateway_service(settings), grace_seconds=settings.shutdown_grace.total_seconds()
    )


def main() -> None:
    settings = start_process(SERVICE, GatewaySettings)
    run_service(SERVICE, run(settings))


if __name__ == "__main__":
    main()
