"""How a request proves who sends it: basic, bearer, digest, oauth2, oidc.

The properties may have come from a secret, which is any JSON: they are checked here, and what is wrong with them is said
without quoting them.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

SCHEMES = ("basic", "bearer", "digest", "oauth2", "oidc")


class Properties(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Password(Properties):
    username: str
    password: str

    @property
    def header(self) -> str:
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class Bearer(Properties):
    token: str


def _bearer(value: Any) -> Any:
    """A secret may be the token itself."""
    return {"token": value} if isinstance(value, str) else value


ClientMethod = Literal[
    "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"
]


class Client(Properties):
    id: str | None = None
    secret: str | None = None
    assertion: str | None = None
    authentication: ClientMethod = "client_secret_post"


class SecurityToken(Properties):
    token: str
    type: str = "urn:ietf:params:oauth:token-type:access_token"


class Endpoints(Properties):
    token: str = "/oauth2/token"  # noqa: S105 - a path


class TokenRequest(Properties):
    encoding: Literal["application/x-www-form-urlencoded", "application/json"] = (
        "application/x-www-form-urlencoded"
    )


class Grant(Properties):
    """What an access token is asked for with."""

    authority: str
    grant: Literal[
        "client_credentials",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    client: Client = Client()
    request: TokenRequest = TokenRequest()
    issuers: Sequence[str] = ()
    scopes: Sequence[str] = ()
    audiences: Sequence[str] = ()
    username: str | None = None
    password: str | None = None
    subject: SecurityToken | None = None
    actor: SecurityToken | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.grant == "password" and (self.username is None or self.password is None):
            raise ValueError("the grant `password` needs username and password")
        if self.grant in {"refresh_token", _EXCHANGE} and self.subject is None:
            raise ValueError(f"the grant `{self.grant}` needs subject.token")
        if self.grant == "client_credentials" and self.client.id is None:
            raise ValueError("the grant `client_credentials` needs client.id")
        return self


class OAuth2(Grant):
    endpoints: Endpoints = Endpoints()


class Oidc(Grant):
    """The token endpoint is found by discovery."""


_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Authentication(Properties):
    """Exactly one of the schemes."""

    basic: Password | None = None
    bearer: Annotated[Bearer | None, BeforeValidator(_bearer)] = None
    digest: Password | None = None
    oauth2: OAuth2 | None = None
    oidc: Oidc | None = Field(None)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(getattr(self, scheme) is not None for scheme in SCHEMES) != 1:
            raise ValueError(f"give exactly one of {', '.join(SCHEMES)}")
        return self

    @property
    def grant(self) -> OAuth2 | Oidc | None:
        return self.oauth2 or self.oidc

    @property
    def header(self) -> str | None:
        """What is sent at once; None if something has to be asked for before."""
        if self.basic is not None:
            return self.basic.header
        return None if self.bearer is None else f"Bearer {self.bearer.token}"
