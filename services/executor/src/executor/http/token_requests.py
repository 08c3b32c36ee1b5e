"""The request for an access token, as RFC 6749, 7523 and 8693 have it."""

from __future__ import annotations

import base64
import time
from typing import Final
from urllib.parse import quote_plus, urlencode
from uuid import uuid4

import jwt
import orjson
from yarl import URL

from common.serving.failures import FunctionError
from executor.http.authentication import Client, OAuth2, Oidc

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS: Final = 60

Parameters = dict[str, str | list[str]]


def parameters_of(grant: OAuth2 | Oidc, refresh_token: str | None) -> Parameters:
    """What the grant itself says; with a refresh token, that is exchanged instead."""
    given: Parameters = {"grant_type": grant.grant}
    if refresh_token is not None:
        given = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    elif grant.grant == "password":
        given |= {"username": grant.username or "", "password": grant.password or ""}
    elif grant.grant == "refresh_token" and grant.subject is not None:
        given["refresh_token"] = grant.subject.token
    else:
        given |= _exchanged(grant)
    if grant.scopes:
        given["scope"] = " ".join(grant.scopes)
    if grant.audiences:
        given["audience"] = list(grant.audiences)
    return given


def request_of(
    grant: OAuth2 | Oidc, endpoint: URL, parameters: Parameters
) -> tuple[dict[str, str], bytes]:
    """Headers and body, the client's own identification included."""
    headers = _identify(grant.client, endpoint, parameters)
    headers["Content-Type"] = grant.request.encoding
    if grant.request.encoding == "application/json":
        return headers, orjson.dumps(parameters)
    return headers, urlencode(parameters, doseq=True).encode()


def _exchanged(grant: OAuth2 | Oidc) -> Parameters:
    given: Parameters = {}
    for name, token in (("subject", grant.subject), ("actor", grant.actor)):
        if token is not None:
            given |= {f"{name}_token": token.token, f"{name}_token_type": token.type}
    return given


def _identify(client: Client, endpoint: URL, parameters: Parameters) -> dict[str, str]:
    """Add to the parameters what identifies the client, or give the header that does."""
    if client.id is None:
        return {}
    match client.authentication:
        case "client_secret_basic":
            pair = f"{quote_plus(client.id)}:{quote_plus(client.secret or '')}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        case "client_secret_post":
            parameters["client_id"] = client.id
            if client.secret is not None:
                parameters["client_secret"] = client.secret
        case "client_secret_jwt" | "private_key_jwt":
            parameters["client_id"] = client.id
            parameters["client_assertion_type"] = ASSERTION_TYPE
            parameters["client_assertion"] = client.assertion or _assertion(client, endpoint)
        case "none":
            parameters["client_id"] = client.id
    return {}


def _assertion(client: Client, endpoint: URL) -> str:
    """A JWT by which the client proves that it has the secret, or the private key in PEM."""
    algorithm = "HS256" if client.authentication == "client_secret_jwt" else "RS256"
    now = int(time.time())
    claims = {
        "iss": client.id,
        "sub": client.id,
        "aud": str(endpoint),
        "jti": uuid4().hex,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
    }
    try:
        return jwt.encode(claims, client.secret or "", algorithm=algorithm)
    except (jwt.PyJWTError, ValueError, TypeError):
        raise FunctionError(
            f"authentication: client.secret cannot sign an assertion for {client.authentication}",
            type="configuration",
            retryable=False,
        ) from None
