"""What a caller may do. A closed set; `admin` includes all others."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    WORKFLOWS_READ = "workflows:read"
    WORKFLOWS_WRITE = "workflows:write"
    EXECUTIONS_READ = "executions:read"
    EXECUTIONS_WRITE = "executions:write"
    KNOWLEDGE_READ = "knowledge:read"
    KNOWLEDGE_WRITE = "knowledge:write"
    EVENTS_READ = "events:read"
    EVENTS_WRITE = "events:write"
    SECRETS_WRITE = "secrets:write"
    ADMIN = "admin"


_KNOWN = {scope.value: scope for scope in Scope}


def parse_scopes(words: str | Iterable[str]) -> frozenset[Scope]:
    """From a token's space-separated claim, or from a list. Unknown words grant nothing."""
    if isinstance(words, str):
        words = words.split()
    return frozenset(_KNOWN[word] for word in words if word in _KNOWN)


def format_scopes(scopes: Iterable[Scope]) -> str:
    """As the `scope` claim has them."""
    return " ".join(sorted(scopes))
