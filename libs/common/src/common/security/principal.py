"""The caller of one request, once proved."""

from dataclasses import dataclass
from uuid import UUID

from common.errors import Forbidden
from common.security.scopes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    organization_id: UUID
    subject: str
    """The `sub` of a token, or `key:` and the id of an API key."""

    scopes: frozenset[Scope]
    groups: frozenset[str] = frozenset()

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raise `Forbidden` naming the scope that is missing."""
        if not self.may(scope):
            raise Forbidden(
                f"This needs the scope {scope}. Ask an administrator for a credential that has it.",
                code="missing_scope",
                extensions={"scope": str(scope)},
            )
