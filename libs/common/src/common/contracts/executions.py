"""Commands and controls about executions, and the orchestrator's messages to itself."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from pydantic import Field

from common.contracts.base import Json, Message, PayloadReference, Request


class StartExecution(Request):
    """Accept an execution. Answered after the commit, with status 202 and the execution's id."""

    type: Literal["execution.start.v1"] = "execution.start.v1"
    execution_id: UUID
    """Chosen by the sender (UUIDv7); a replay of the idempotency key is answered with the first one's."""

    workflow_id: str
    """namespace/name"""

    workflow_version: str | None = None
    """A semver, or None for the highest."""

    input: Json = None
    input_ref: PayloadReference | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    route: str = "executions"
    idempotency_key: str
    fingerprint: str = ""
    """Hex SHA-256 of what was asked; another one under the same key is refused."""


class _Control(Request):
    execution_id: UUID
    reason: str = ""


class CancelExecution(_Control):
    type: Literal["execution.cancel.v1"] = "execution.cancel.v1"


class SuspendExecution(_Control):
    type: Literal["execution.suspend.v1"] = "execution.suspend.v1"


class ResumeExecution(_Control):
    type: Literal["execution.resume.v1"] = "execution.resume.v1"


class ContinueExecution(Message):
    """Nudge: this execution has a due wait (continue, timer, admission) or was just created as a child."""

    type: Literal["execution.continue.v1"] = "execution.continue.v1"
    execution_id: UUID


class ChildClosed(Message):
    """Nudge to a parent: the child behind wait `key` has ended; its outcome is in PostgreSQL."""

    type: Literal["child.closed.v1"] = "child.closed.v1"
    execution_id: UUID
    """The parent."""

    key: str
    child_id: UUID
