"""TLS to PostgreSQL, as `DATABASE_SSL` asks for it, and what a failed handshake comes from."""

import ssl
from typing import Any

from common.errors import ConfigurationError
from common.settings import DatabaseSettings


def ssl_arguments(settings: DatabaseSettings) -> dict[str, Any]:
    """For asyncpg. Raise `ConfigurationError` where the authorities cannot be read."""
    match settings.database_ssl:
        case "false":
            return {}  # Then the URL's own `sslmode` decides.
        case "true" | "require":
            return {"ssl": "require"}
        case "verify-ca":
            context = _context(settings)
            context.check_hostname = False
            return {"ssl": context}
        case "verify-full":
            return {"ssl": _context(settings)}


def _context(settings: DatabaseSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.database_ssl_root_cert)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"DATABASE_SSL_ROOT_CERT={settings.database_ssl_root_cert} cannot be used: "
            f"{error.strerror or error}. It must be a PEM file of certificate authorities",
            code="database_certificate",
        ) from error


def why_failed(error: OSError) -> str | None:
    """What to tell an operator, where the failure is one of TLS."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not accepted: {error.verify_message.rstrip('.')}; "
            "see DATABASE_SSL and DATABASE_SSL_ROOT_CERT"
        )
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake failed; see DATABASE_SSL and DATABASE_SSL_ROOT_CERT"
    if "rejected SSL upgrade" in str(error):
        return "it does not speak TLS; switch TLS on there, or set DATABASE_SSL=false"
    return None
