"""Shapes that several routes share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from gateway.bounds.validation import Query

T = TypeVar("T")

PAGE_DEFAULT = 50
PAGE_MAX = 200

DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
SEMVER = r"^[0-9A-Za-z.+-]{1,128}$"

Name = Annotated[str, Field(pattern=DNS_LABEL, examples=["refund-policy"])]


class View(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Violation(BaseModel):
    """Problems of definitions have `code`, `severity`, `line`, `column` and `advice` besides."""

    model_config = ConfigDict(extra="allow")

    pointer: str = Field(description="JSON pointer into the body, or the name of the parameter.")
    detail: str = Field(description="What is wrong there.")


class Problem(BaseModel):
    """RFC 9457. `code` is stable; texts are for people and may change."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    retry_after: float | None = Field(
        None, description="Seconds; repeating before them is useless."
    )
    errors: list[Violation] | None = None


class Page(View, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(
        description="Pass it as `cursor` for the next page; null on the last one."
    )


class PageQuery(Query):
    limit: int = Field(PAGE_DEFAULT, ge=1, le=PAGE_MAX, description="Items of a page at most.")
    cursor: str | None = Field(None, description="`nextCursor` of the page before.")


class ErrorView(BaseModel):
    """An RFC 7807 error of the workflow language."""

    model_config = ConfigDict(extra="allow")

    type: str
    status: int | None = None
    title: str | None = None
    detail: str | None = None
    instance: str | None = None


class WorkflowName(View):
    namespace: str
    name: str
    version: str = Field(description="Semantic version.")


Json = Any
Instant = datetime
