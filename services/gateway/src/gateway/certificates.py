"""When the certificates that clients meet expire: looked at from outside, as a client would.

TLS ends before the gateway, in a proxy or an ingress. Whoever renews certificates there has usually said so in a log
that nobody read; this makes it a metric. A certificate that is not valid is looked at too: that is what is to be found.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Final

from common.errors import ConfigurationError
from common.logs import get_logger
from common.metrics import CERTIFICATE_CHECKS_FAILED, CERTIFICATE_EXPIRY

log = get_logger(__name__)

LOOK_SECONDS: Final = 3600.0
LOOK_AGAIN_SECONDS: Final = 60.0
"""After a failure: at start-up the proxy in front may only be starting."""

HANDSHAKE_SECONDS: Final = 10.0
PORT_DEFAULT: Final = 443


def addresses(given: Sequence[str]) -> list[tuple[str, int]]:
    """From `host` or `host:port`. Raises `ConfigurationError` for anything else."""
    return [_address(each) for each in given]


async def watch(places: Sequence[tuple[str, int]]) -> None:
    """Look at each of them now and every hour."""
    while True:
        well = [await _look(host, port) for host, port in places]
        await asyncio.sleep(LOOK_SECONDS if all(well) else LOOK_AGAIN_SECONDS)


async def _look(host: str, port: int) -> bool:
    address = f"{host}:{port}"
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            expiry = await expires_at(host, port)
    except (OSError, ssl.SSLError, ValueError) as error:
        log.warning("certificate_not_seen", address=address, error=str(error) or repr(error))
        CERTIFICATE_CHECKS_FAILED.labels(address).inc()
        return False
    CERTIFICATE_EXPIRY.labels(address).set(expiry)
    return True


async def expires_at(host: str, port: int) -> float:
    """Seconds since the epoch at which the certificate that is shown there ends."""
    # Imported here: an installation that watches none need not load it.
    from cryptography.x509 import load_der_x509_certificate

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    if shown is None:
        raise ValueError("no certificate is shown")
    return load_der_x509_certificate(shown).not_valid_after_utc.timestamp()


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.partition(":")
    if not host or "/" in text or (colon and not port.isdecimal()):
        raise ConfigurationError(
            f"WATCHED_CERTIFICATES: {text!r} is no address; write host or host:port"
        )
    return host, int(port) if port else PORT_DEFAULT
