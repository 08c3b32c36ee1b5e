"""When certificates expire is looked up as a client would, whether or not they are valid."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import ConfigurationError
from common.metrics import CERTIFICATE_CHECKS_FAILED, CERTIFICATE_EXPIRY
from gateway.certificates import addresses, watch

PATIENCE_S = 10.0
EXPIRY = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
"""Long over: that is when one wants to know."""


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody.example")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(EXPIRY - timedelta(days=90))
        .not_valid_after(EXPIRY)
        .sign(key, hashes.SHA256())
    )
    file = folder / "both.pem"
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(encoding)
    )
    return file


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))

    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def until_counted(metric: object, address: str) -> float:
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while not (value := metric.labels(address)._value.get()):  # type: ignore[attr-defined]
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)
    return float(value)


async def test_the_expiry_of_an_expired_certificate_is_shown(port: int) -> None:
    looking = asyncio.create_task(watch([("127.0.0.1", port)]))
    shown = await until_counted(CERTIFICATE_EXPIRY, f"127.0.0.1:{port}")
    looking.cancel()
    assert datetime.fromtimestamp(shown, tz=UTC) == EXPIRY


async def test_a_place_without_a_certificate_is_counted() -> None:
    plain = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    place = plain.sockets[0].getsockname()[1]
    looking = asyncio.create_task(watch([("127.0.0.1", place)]))
    assert await until_counted(CERTIFICATE_CHECKS_FAILED, f"127.0.0.1:{place}") == 1
    looking.cancel()
    plain.close()
    await plain.wait_closed()


def test_addresses_have_443_where_they_name_no_port() -> None:
    assert addresses(["kwe.example.com", "nginx:8443"]) == [
        ("kwe.example.com", 443),
        ("nginx", 8443),
    ]


@pytest.mark.parametrize("text", ["https://kwe.example.com", "host:", ":443", "host:x"])
def test_what_is_no_address_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="WATCHED_CERTIFICATES"):
        addresses([text])
