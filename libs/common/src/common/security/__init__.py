"""Who is calling, and what they may do."""

from common.security.api_keys import ApiKey, hash_key, key_id_of, matches, new_api_key
from common.security.principal import Principal
from common.security.scopes import Scope, format_scopes, parse_scopes
from common.security.tokens import TokenIssuer, TokenVerifier

__all__ = [
    "ApiKey",
    "Principal",
    "Scope",
    "TokenIssuer",
    "TokenVerifier",
    "format_scopes",
    "hash_key",
    "key_id_of",
    "matches",
    "new_api_key",
    "parse_scopes",
]
