"""Where things are and how to be let in: endpoints, external resources, authentication policies."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Tag, model_validator
from pydantic_core import PydanticCustomError

from workflow.document.parts import (
    TAG,
    Maybe,
    Name,
    Part,
    TextOr,
    camel_case,
)

_URI_TEMPLATE = re.compile(r"(([^:/?#]+):)?(//([^/?#\s]*))?([^?#\s]*)(\?([^#\s]*))?(#(\S*))?")


def _uri_template(text: str) -> str:
    if text and not text[0].isspace() and not re.match(r"\s*\$\{", text):
        if _URI_TEMPLATE.fullmatch(text):
            return text
    raise PydanticCustomError("uri_template", "this is not a URI or URI template")


def _uri_or_expression(text: str) -> str:
    # Expressions may stand inside a longer text too: "https://example.com/${ .path }".
    return text if "${" in text else _uri_template(text)


UriTemplate = Annotated[str, AfterValidator(_uri_template)]
Uri = Annotated[str, AfterValidator(_uri_or_expression)]
"""A URI template, or an expression that gives the URI."""


class SecretReference(Part):
    """The name of the secret that holds the properties."""

    use: Name


class PasswordProperties(Part):
    username: str
    password: str


class TokenProperties(Part):
    token: str


class OAuth2Client(Part):
    id: Maybe[str] = None
    secret: Maybe[str] = None
    assertion: Maybe[str] = None
    authentication: Maybe[
        Literal[
            "client_secret_basic",
            "client_secret_post",
            "client_secret_jwt",
            "private_key_jwt",
            "none",
        ]
    ] = None


class OAuth2Request(Part):
    encoding: Maybe[Literal["application/x-www-form-urlencoded", "application/json"]] = None


class OAuth2Token(Part):
    token: str
    type: str


class OAuth2Endpoints(Part):
    token: Maybe[str] = None
    revocation: Maybe[str] = None
    introspection: Maybe[str] = None


class OidcProperties(Part):
    authority: UriTemplate
    grant: Literal[
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    client: Maybe[OAuth2Client] = None
    request: Maybe[OAuth2Request] = None
    issuers: Maybe[tuple[str, ...]] = None
    scopes: Maybe[tuple[str, ...]] = None
    audiences: Maybe[tuple[str, ...]] = None
    username: Maybe[str] = None
    password: Maybe[str] = None
    subject: Maybe[OAuth2Token] = None
    actor: Maybe[OAuth2Token] = None


class OAuth2Properties(OidcProperties):
    endpoints: Maybe[OAuth2Endpoints] = None


_SECRET = f"{TAG}secret"
_INLINE = f"{TAG}inline"


def _secret_or_inline(value: Any) -> str:
    if isinstance(value, SecretReference):
        return _SECRET
    return _SECRET if isinstance(value, Mapping) and "use" in value else _INLINE


_BY_SECRET = Discriminator(_secret_or_inline)
_Secret = Annotated[SecretReference, Tag(_SECRET)]

BasicCredentials = Annotated[_Secret | Annotated[PasswordProperties, Tag(_INLINE)], _BY_SECRET]
BearerCredentials = Annotated[_Secret | Annotated[TokenProperties, Tag(_INLINE)], _BY_SECRET]
OAuth2Credentials = Annotated[_Secret | Annotated[OAuth2Properties, Tag(_INLINE)], _BY_SECRET]
OidcCredentials = Annotated[_Secret | Annotated[OidcProperties, Tag(_INLINE)], _BY_SECRET]

SCHEMES = ("basic", "bearer", "digest", "oauth2", "oidc")


class AuthenticationPolicy(Part):
    """Exactly one scheme."""

    basic: Maybe[BasicCredentials] = None
    bearer: Maybe[BearerCredentials] = None
    digest: Maybe[BasicCredentials] = None
    oauth2: Maybe[OAuth2Credentials] = None
    oidc: Maybe[OidcCredentials] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, SCHEMES)
        return self

    @property
    def scheme(self) -> str:
        return next(scheme for scheme in SCHEMES if scheme in self.model_fields_set)


class AuthenticationReference(Part):
    """The name of a policy in `use.authentications`."""

    use: Name


def _reference_or_policy(value: Any) -> str:
    if isinstance(value, AuthenticationReference):
        return _SECRET
    return _SECRET if isinstance(value, Mapping) and "use" in value else _INLINE


Authentication = Annotated[
    Annotated[AuthenticationReference, Tag(_SECRET)]
    | Annotated[AuthenticationPolicy, Tag(_INLINE)],
    Discriminator(_reference_or_policy),
]


class EndpointConfiguration(Part):
    uri: Uri
    authentication: Maybe[Authentication] = None


def _check_endpoint_text(value: Any) -> Any:
    return _uri_or_expression(value) if isinstance(value, str) else value


Endpoint = Annotated[TextOr[EndpointConfiguration], AfterValidator(_check_endpoint_text)]


class ExternalResource(Part):
    name: Maybe[str] = None
    endpoint: Endpoint


class Catalog(Part):
    """A remote collection of functions, by its root URL."""

    endpoint: Endpoint


def exactly_one(part: Part, names: tuple[str, ...]) -> None:
    """Refuse a part that has none or several of properties that exclude each other."""
    present = [camel_case(name) for name in names if name in part.model_fields_set]
    if len(present) == 1:
        return
    alternatives = ", ".join(camel_case(name) for name in names)
    found = " and ".join(present) if present else "none of them"
    raise PydanticCustomError(
        "exactly_one",
        "exactly one of {alternatives} is expected here; found {found}",
        {"alternatives": alternatives, "found": found},
    )
