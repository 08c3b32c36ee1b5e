"""Secrets: set and deleted, never shown."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from gateway.bounds.validation import Body
from gateway.models.common import Instant, View

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"


class SecretBody(Body):
    value: Any = Field(
        description='Any JSON: a text, or an object such as `{"username": …, "password": …}`.'
    )


class SecretView(View):
    name: str
    version: int = Field(description="Counts how often it was set, from 1.")
    updated_at: Instant
