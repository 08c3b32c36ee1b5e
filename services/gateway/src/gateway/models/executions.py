"""Executions: starting, controlling, looking at them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from gateway.bounds.validation import Body, Query
from gateway.models.common import DNS_LABEL, ErrorView, Instant, PageQuery, View, WorkflowName

Status = Literal["pending", "running", "waiting", "suspended", "cancelled", "faulted", "completed"]
FINAL: frozenset[str] = frozenset({"cancelled", "faulted", "completed"})

LABELS_MAX = 32
WAIT_SECONDS_MAX = 60

LabelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(max_length=256)]


class StartBody(Body):
    input: Any = Field(
        default_factory=dict, description="The workflow's input; `{}` when it is left out."
    )
    version: str | None = Field(
        None,
        min_length=1,
        max_length=128,
        description="A semantic version; the highest when it is left out.",
    )
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, max_length=LABELS_MAX, description="For finding executions again."
    )


class StartQuery(Query):
    wait: float | None = Field(
        None,
        ge=0,
        le=WAIT_SECONDS_MAX,
        description="Seconds to wait for the end: then 200 with the execution, else 202.",
    )


class Links(View):
    self: str
    events: str
    history: str
    tasks: str


class Accepted(View):
    id: str
    status: Status
    idempotency_key: str = Field(description="Repeat with this key to get the same execution.")
    links: Links


class Controlled(View):
    id: str
    status: str = Field(description="After the command was committed.")
    links: Links


class WaitingFor(View):
    """A live reason why an execution is not moving."""

    reason: str = Field(description="In words.")
    kind: Literal[
        "task", "timer", "deadline", "event", "child", "admission", "continue", "suspended"
    ] = Field(description="A `deadline` is a time limit: nobody waits for it to pass.")
    reference: str = Field(description="JSON pointer of the task that waits, with iterations.")
    since: Instant
    until: Instant | None = Field(None, description="When it ends by itself.")
    queue: str | None = None
    executors_lost: int = Field(0, description="Executors that died with this try.")
    child_id: str | None = None


class ExecutionSummary(View):
    id: str
    workflow: WorkflowName
    status: Status
    error: ErrorView | None
    labels: dict[str, str]
    parent_id: str | None
    created_at: Instant
    updated_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


class ExecutionView(ExecutionSummary):
    input: Any
    output: Any
    waiting_for: list[WaitingFor] = Field(
        description="Empty when it is finished or moving right now."
    )


class HistoryEvent(BaseModel):
    """One event of an execution. Fields besides these depend on the type."""

    model_config = ConfigDict(extra="allow")

    sequence: int = Field(description="From 1, without gaps.")
    type: str
    at: Instant


class TaskView(View):
    """A task of an execution: what it did, or why it waits."""

    task_id: str | None
    name: str | None
    reference: str = Field(description="JSON pointer in the definition, with iterations.")
    kind: str | None = Field(None, description="What kind of task it is, such as `call` or `for`.")
    function: str | None = Field(None, description="What a call calls.")
    status: Literal["pending", "queued", "running", "waiting", "cancelled", "faulted", "completed"]
    tries: int
    created_at: Instant | None = None
    queued_at: Instant | None = Field(
        None, description="When the current or last try was handed out."
    )
    started_at: Instant | None = Field(None, description="When an executor began with it.")
    finished_at: Instant | None = None
    output: Any = None
    output_ref: str | None = Field(
        None, description="Only for outputs that are too large to be shown here."
    )
    output_size: int | None = Field(None, description="Bytes of a large output.")
    error: ErrorView | None = None
    worker: str | None = None
    usage: Any = Field(None, description="Tokens, model and cost, where the function reports them.")
    waiting_for: WaitingFor | None = None


class HistoryQuery(Query):
    after: int = Field(
        0, ge=0, le=2**31 - 1, description="The last sequence that is known already."
    )
    limit: int = Field(500, ge=1, le=2000, description="Events of a page, at least one turn's.")


class HistoryPage(View):
    items: list[HistoryEvent]
    next_after: int | None = Field(
        description="Pass it as `after` for the next page; null at the end."
    )


class TaskList(View):
    items: list[TaskView]
    complete: bool = Field(
        description="False where the history is longer than is read at once: then later tasks are missing."
    )


class ExecutionsQuery(PageQuery):
    status: list[Status] | None = Field(None, description="Comma-separated.")
    workflow: str | None = Field(
        None, description="`namespace/name`, or a namespace.", max_length=127
    )
    label: list[str] | None = Field(
        None, description="`name:value`; several must all hold.", max_length=LABELS_MAX
    )
    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    parent: str | None = Field(None, description="Id of the execution that started them.")

    @field_validator("status", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list):
            return texts
        return [word for text in texts for word in str(text).split(",")]

    @field_validator("label", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("label")
    @classmethod
    def _has_a_name(cls, value: list[str] | None) -> list[str] | None:
        if any(":" not in text for text in value or ()):
            raise ValueError("must be name:value")
        return value

    @field_validator("workflow")
    @classmethod
    def _names_a_workflow(cls, value: str | None) -> str | None:
        if value is not None and not all(re.match(DNS_LABEL, part) for part in value.split("/", 1)):
            raise ValueError("must be namespace/name or a namespace")
        return value


class ControlBody(Body):
    reason: str = Field("", max_length=1024, description="Recorded in the history.")
