"""python -m gateway: the HTTP API."""

from __future__ import annotations

from common.lifecycle import run_service, run_until_signalled
from common.logs import configure_logging
from common.settings import GatewaySettings, load
from common.telemetry import configure_tracing
from gateway.app import SERVICE, gateway_service


async def run(settings: GatewaySettings) -> None:
    await run_until_signalled(
        gateway_service(settings), grace_seconds=settings.shutdown_grace.total_seconds()
    )


def main() -> None:
    settings = load(GatewaySettings)
    configure_logging(SERVICE, settings)
    configure_tracing(SERVICE, settings)
    run_service(SERVICE, run(settings))


if __name__ == "__main__":
    main()
