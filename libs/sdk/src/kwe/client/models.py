"""What the API answers, with the names of Python. Fields that are newer than this client are kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from kwe.errors import ExecutionFailed

FINAL: Final = frozenset({"completed", "faulted", "cancelled"})
PUBLIC_PREFIX: Final = "io.serverlessworkflow."
ENDINGS: Final = frozenset({"workflow.completed", "workflow.faulted", "workflow.cancelled"})


class View(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="allow", frozen=True
    )


class WorkflowName(View):
    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class WaitingFor(View):
    """A live reason why an execution is not moving."""

    reason: str
    kind: str
    reference: str = ""
    since: datetime | None = None
    until: datetime | None = None
    queue: str | None = None
    executors_lost: int = 0


class Accepted(View):
    """A start that is committed. Its key repeats it without starting anything twice."""

    id: str
    status: str
    idempotency_key: str = ""


class ExecutionSummary(View):
    id: str
    workflow: WorkflowName
    status: str
    error: dict[str, Any] | None = None
    labels: dict[str, str] = {}
    created_at: datetime
    updated_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def is_finished(self) -> bool:
        return self.status in FINAL


class Execution(ExecutionSummary):
    input: Any = None
    output: Any = None
    waiting_for: list[WaitingFor] = []

    def require_completed(self) -> Execution:
        """Itself, or `ExecutionFailed` with the reason."""
        if self.status != "completed":
            raise ExecutionFailed(self)
        return self


class Task(View):
    task_id: str | None = None
    name: str | None = None
    reference: str
    kind: str | None = None
    function: str | None = None
    status: str
    tries: int = 0
    created_at: datetime | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    output: Any = None
    error: dict[str, Any] | None = None
    usage: Any = None
    worker: str | None = None
    waiting_for: WaitingFor | None = None

    @property
    def waited_seconds(self) -> float:
        """In the queue."""
        return _between(self.queued_at, self.started_at)

    @property
    def worked_seconds(self) -> float:
        return _between(self.started_at, self.finished_at)


class Document(View):
    id: str
    status: Literal["pending", "parsing", "chunking", "embedding", "indexing", "ready", "failed"]
    progress: float = 0.0
    chunks: int = 0
    version: int | None = None
    error: str | None = None
    title: str | None = None

    @property
    def is_finished(self) -> bool:
        return self.status in {"ready", "failed"}


class Hit(View):
    """A passage: exactly the code points `start` to `end` of its document."""

    id: str
    document: str = ""
    text: str
    score: float
    start: int
    end: int
    title: str | None = None
    metadata: dict[str, Any] | None = None


class Event(BaseModel):
    """A CloudEvent of an execution's life, or a `task.delta` that no history keeps."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str = ""
    type: str
    source: str = ""
    subject: str = ""
    time: datetime | None = None
    sequence: int | None = None
    executionid: str = ""
    """Of an event that a workflow emitted; its subject is the workflow's to choose."""
    data: Any = None

    @property
    def kind(self) -> str:
        """The type without prefix and version, such as `task.completed`."""
        return self.type.removeprefix(PUBLIC_PREFIX).removesuffix(".v1")

    @property
    def execution_id(self) -> str:
        return self.executionid or self.subject

    @property
    def ends_execution(self) -> bool:
        return self.kind in ENDINGS


def _between(begin: datetime | None, end: datetime | None) -> float:
    return (end - begin).total_seconds() if begin and end else 0.0
