"""Organisations, credentials, dead letters, and what an operator asks."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from common.security import Scope
from gateway.bounds.validation import Body, Query
from gateway.models.common import Instant, PageQuery, View, WorkflowName

LaxScope = Annotated[Scope, Field(strict=False)]


class CreateOrganizationBody(Body):
    name: str = Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", examples=["acme"])
    max_concurrent_executions: int = Field(
        0, ge=0, le=1_000_000, description="Running executions at a time; 0 is no limit."
    )


class OrganizationView(View):
    id: str
    name: str
    max_concurrent_executions: int


class CreateApiKeyBody(Body):
    name: str = Field("", max_length=200, description="For people.")
    scopes: list[LaxScope] = Field(min_length=1, max_length=len(Scope))
    expires_at: AwareDatetime | None = Field(None, strict=False)
    organization_id: UUID | None = Field(
        None, strict=False, description="The caller's own when it is left out. Others need `admin`."
    )


class ApiKeyView(View):
    id: str
    key: str = Field(description="Shown this once: only its hash is stored.")
    name: str
    organization_id: str
    scopes: list[str]
    expires_at: Instant | None


class ApiKeysQuery(PageQuery):
    organization_id: UUID | None = Field(None, description="The caller's own when it is left out.")


class RevokeApiKeyQuery(Query):
    organization_id: UUID | None = Field(None, description="The caller's own when it is left out.")


class KnownApiKeyView(View):
    id: str
    name: str
    organization_id: str
    scopes: list[str]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None


class CreateTokenBody(Body):
    scopes: list[LaxScope] | None = Field(
        None, min_length=1, max_length=len(Scope), description="The caller's own when left out."
    )
    expires_in: int | None = Field(
        None, ge=1, description="Seconds; at most, and by default, what JWT_EXPIRY says."
    )
    subject: str | None = Field(None, min_length=1, max_length=200)


class TokenView(View):
    access_token: str
    token_type: str
    expires_in: int
    scopes: list[str]


class DeadLetterView(View):
    id: str
    execution_id: str | None
    stream: str
    reason: str
    detail: str
    size: int = Field(description="Bytes of the message.")
    created_at: Instant
    redriven_at: Instant | None


class DeadLettersQuery(PageQuery):
    redriven: bool | None = None


class Redriven(View):
    id: str
    status: str


class Orphan(View):
    id: str
    workflow: WorkflowName
    status: str
    created_at: Instant
    updated_at: Instant


class WaitCount(View):
    kind: str
    waits: int
    oldest: Instant


class Invariants(View):
    ok: bool = Field(description="True exactly when there are no orphans.")
    unfinished: int
    orphans: int = Field(
        description="Unfinished executions without a live reason; at most 1,000 are counted."
    )
    examples: list[Orphan]
    waits: list[WaitCount]


class HealthView(View):
    status: str
    service: str
    reasons: dict[str, str] | None = None
