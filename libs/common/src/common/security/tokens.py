"""JSON Web Tokens, HS256: `sub, org, scope, groups, iat, exp, aud, iss`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import jwt
from pydantic import SecretStr

from common.errors import Unauthenticated
from common.security.principal import Principal
from common.security.scopes import format_scopes, parse_scopes

ALGORITHM: Final = "HS256"
CLOCK_LEEWAY: Final = timedelta(seconds=30)
TOKEN_BYTES_MAX: Final = 8192
_REQUIRED: Final = ["sub", "org", "iat", "exp", "aud", "iss"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenIssuer:
    secret: SecretStr
    issuer: str
    audience: str
    expiry: timedelta

    def issue(self, principal: Principal, *, expiry: timedelta | None = None) -> str:
        """A token with exactly the principal's rights; `expiry` may only shorten the configured one."""
        now = datetime.now(UTC)
        lifetime = min(expiry, self.expiry) if expiry is not None else self.expiry
        claims: dict[str, Any] = {
            "sub": principal.subject,
            "org": str(principal.organization_id),
            "scope": format_scopes(principal.scopes),
            "groups": sorted(principal.groups),
            "iat": now,
            "exp": now + lifetime,
            "aud": self.audience,
            "iss": self.issuer,
        }
        return jwt.encode(claims, self.secret.get_secret_value(), algorithm=ALGORITHM)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVerifier:
    secret: SecretStr
    issuer: str
    audience: str

    def verify(self, token: str) -> Principal:
        """Raise `Unauthenticated` with a reason that helps the caller and tells a forger nothing."""
        if len(token) > TOKEN_BYTES_MAX:
            raise _refused("The token is too long.")
        try:
            claims = jwt.decode(
                token,
                self.secret.get_secret_value(),
                algorithms=[ALGORITHM],
                audience=self.audience,
                issuer=self.issuer,
                leeway=CLOCK_LEEWAY,
                options={"require": _REQUIRED},
            )
        except jwt.ExpiredSignatureError:
            raise _refused("The token has expired. Get a new one.", code="token_expired") from None
        except (jwt.InvalidTokenError, ValueError, OverflowError):
            raise _refused("The token is not valid here.") from None
        return _principal(claims)


def _principal(claims: Mapping[str, Any]) -> Principal:
    scope, groups = claims.get("scope", ""), claims.get("groups", [])
    try:
        organization_id = UUID(claims["org"])
    except (ValueError, TypeError, AttributeError):
        raise _refused("The claim org must be the id of an organisation.") from None
    if not _is_words(scope) or not _is_words(groups):
        raise _refused("The claims scope and groups must be text or lists of text.")
    return Principal(
        organization_id=organization_id,
        subject=claims["sub"],
        scopes=parse_scopes(scope),
        groups=frozenset([groups] if isinstance(groups, str) else groups),
    )


def _is_words(claim: Any) -> bool:
    return isinstance(claim, str) or (
        isinstance(claim, Iterable)
        and not isinstance(claim, Mapping)
        and all(isinstance(word, str) for word in claim)
    )


def _refused(detail: str, *, code: str = "invalid_token") -> Unauthenticated:
    return Unauthenticated(detail, code=code)
