"""Workflows: definitions and what is wrong with them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from gateway.bounds.validation import Query
from gateway.models.common import DNS_LABEL, Instant, PageQuery, View


class WorkflowSummary(View):
    id: str = Field(description="`namespace/name`.")
    namespace: str
    name: str
    version: str = Field(description="Semantic version.")
    registration: int = Field(description="Counts the registrations of this workflow, from 1.")
    fingerprint: str = Field(description="SHA-256 of the canonical document; also the ETag.")
    title: str | None = None
    summary: str | None = None
    tags: dict[str, Any] | None = None
    created_at: Instant


class WorkflowView(View):
    id: str
    namespace: str
    name: str
    version: str
    registration: int
    fingerprint: str
    created_at: Instant
    definition: dict[str, Any]


class Registered(View):
    id: str
    namespace: str
    name: str
    version: str
    registration: int | None = None
    fingerprint: str
    warnings: list[DiagnosticView]


class DiagnosticView(View):
    code: str = Field(description="Stable kind of the problem.")
    severity: str = Field(description="`error` or `warning`.")
    message: str
    advice: str | None = Field(None, description="What to do about it.")
    pointer: str = Field(description="JSON pointer into the document.")
    line: int | None = Field(None, description="From 1, in the text that was sent.")
    column: int | None = None


class Validation(View):
    valid: bool
    diagnostics: list[DiagnosticView]


class WorkflowsQuery(PageQuery):
    namespace: str | None = Field(None, pattern=DNS_LABEL)


class DefinitionBody(View):
    """An Open Workflow Specification 1.0 document; YAML or JSON."""

    document: dict[str, Any]


class FunctionView(View):
    name: str
    version: str
    queue: str | None = Field(description="Null: served by the engine itself.")
    description: str
    input_schema: dict[str, Any] | None
    output_schema: dict[str, Any] | None
    at_most_once: bool
    built_in: bool


class FunctionList(View):
    items: list[FunctionView]


class NoParameters(Query):
    """A route without parameters refuses them all: a misspelt filter must not look like no filter."""


Registered.model_rebuild()
