"""History events: the closed set of facts about an execution, and the public event that each of them becomes.

A history event is a JSON object. All have `type` and `at` (milliseconds since the epoch). Those of tasks have

- `task`      the reference: JSON pointer with iterations, such as `/do/0/loop/for/3/do/0/fetch`
- `name`      the task's name
- `taskId`    idempotency key of its side effects, the same over tries

and besides, by type:

| type | more |
|---|---|
| workflow.started | |
| workflow.suspended, workflow.cancelled | `reason` |
| workflow.resumed | |
| workflow.status-changed | `status`; told by a turn that changed something and records nothing else |
| workflow.faulted | `error` |
| workflow.completed | the output |
| workflow.correlation-started | `task`: its listener began to correlate events |
| workflow.correlation-completed | `task`, `keys`: the values that its events were correlated by |
| event.emitted | `event`: the CloudEvent |
| task.created | `kind`; `function` of a call |
| task.started | `attempt`, from 1 |
| task.retried | of a `try`: `error` that was caught, `attempt` to come, `delayMs` before it |
| task.faulted | `error`, `attempt`, the report |
| task.cancelled | |
| task.completed | the output, the report |

The output is `output` if it is small, otherwise `outputSize` in bytes and, if it was stored, `outputRef`, its id. Large outputs of
calls and sub-workflows are always stored; those of other tasks only if the execution still needed them after the turn.

The report is what an executor says about itself: `worker`, `startedAt` (by its clock), `usage`.

Every event becomes exactly one public CloudEvent, `to_cloud_event`: one of the language's lifecycle, or the emitted event itself with
two more attributes, `executionid` and `sequence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from workflow.core.instants import iso8601
from workflow.core.values import Json

EVENT_TYPES = (
    "workflow.started",
    "workflow.suspended",
    "workflow.resumed",
    "workflow.status-changed",
    "workflow.cancelled",
    "workflow.faulted",
    "workflow.completed",
    "workflow.correlation-started",
    "workflow.correlation-completed",
    "task.created",
    "task.started",
    "task.retried",
    "task.cancelled",
    "task.faulted",
    "task.completed",
    "event.emitted",
)

EMITTED = "event.emitted"

PUBLIC_PREFIX = "io.serverlessworkflow."
"""The language was renamed, its event types were not."""

_PUBLIC_TYPES = {type: f"{PUBLIC_PREFIX}{type}.v1" for type in EVENT_TYPES}


@dataclass(frozen=True, slots=True)
class ExecutionFacts:
    """What public events say about the execution they come from."""

    execution_id: str
    organization_id: str
    namespace: str
    name: str
    version: str
    """The semver of the definition."""
    traceparent: str | None = None
    source: str = field(init=False)
    qualified_name: str = field(init=False)
    """How the language names an instance of a workflow."""

    def __post_init__(self) -> None:
        # Once for all events of the execution; this is how a frozen dataclass computes a field.
        object.__setattr__(self, "source", f"/{self.namespace}/{self.name}/{self.version}")
        qualified_name = f"{self.name}-{self.execution_id}.{self.namespace}"
        object.__setattr__(self, "qualified_name", qualified_name)


def to_cloud_event(
    event: Mapping[str, Json], facts: ExecutionFacts, sequence: int
) -> dict[str, Json]:
    """The public form of a history event: `id` is `{execution}/{sequence}`, so a repeated event can be told."""
    type: str = event["type"]
    if type == EMITTED:
        return {**event["event"], "executionid": facts.execution_id, "sequence": sequence}
    time = _time(event["at"])
    execution_id = facts.execution_id
    public: dict[str, Json] = {
        "specversion": "1.0",
        "id": f"{execution_id}/{sequence}",
        "source": facts.source,
        "type": _PUBLIC_TYPES[type],
        "subject": execution_id,
        "time": time,
        "datacontenttype": "application/json",
        "sequence": sequence,
        "data": _DATA[type](event, facts, time),
    }
    if facts.traceparent:
        public["traceparent"] = facts.traceparent
    return public


@lru_cache(maxsize=256)
def _time(at_ms: int) -> str:
    return iso8601(at_ms)


_Data = Callable[[Mapping[str, Json], ExecutionFacts, str], dict[str, Json]]


def _workflow_data(moment: str, *more: str) -> _Data:
    def data(event: Mapping[str, Json], facts: ExecutionFacts, time: str) -> dict[str, Json]:
        made: dict[str, Json] = {"name": facts.qualified_name, moment: time}
        for name in more:
            made[name] = event[name]
        return made

    return data


def _workflow_started(
    event: Mapping[str, Json], facts: ExecutionFacts, time: str
) -> dict[str, Json]:
    del event
    definition = {"namespace": facts.namespace, "name": facts.name, "version": facts.version}
    return {"name": facts.qualified_name, "definition": definition, "startedAt": time}


def _workflow_completed(
    event: Mapping[str, Json], facts: ExecutionFacts, time: str
) -> dict[str, Json]:
    del event
    uri = f"/v1/executions/{facts.execution_id}"
    return {"name": facts.qualified_name, "completedAt": time, "outputUri": uri}


def _correlation_completed(
    event: Mapping[str, Json], facts: ExecutionFacts, time: str
) -> dict[str, Json]:
    return {
        "name": facts.qualified_name,
        "completedAt": time,
        "correlationKeys": event["keys"],
    }


def _task_data(moment: str, *more: str) -> _Data:
    def data(event: Mapping[str, Json], facts: ExecutionFacts, time: str) -> dict[str, Json]:
        made: dict[str, Json] = {
            "workflow": facts.qualified_name,
            "task": event["task"],
            "taskId": event["taskId"],
            moment: time,
        }
        for name in more:
            made[name] = event[name]
        return made

    return data


_task_completed_data = _task_data("completedAt")


def _task_completed(event: Mapping[str, Json], facts: ExecutionFacts, time: str) -> dict[str, Json]:
    data = _task_completed_data(event, facts, time)
    data["outputUri"] = f"/v1/executions/{facts.execution_id}/tasks#{event['taskId']}"
    return data


_DATA: dict[str, _Data] = {
    "workflow.started": _workflow_started,
    "workflow.suspended": _workflow_data("suspendedAt", "reason"),
    "workflow.resumed": _workflow_data("resumedAt"),
    "workflow.status-changed": _workflow_data("updatedAt", "status"),
    "workflow.cancelled": _workflow_data("cancelledAt", "reason"),
    "workflow.faulted": _workflow_data("faultedAt", "error"),
    "workflow.completed": _workflow_completed,
    "workflow.correlation-started": _workflow_data("startedAt"),
    "workflow.correlation-completed": _correlation_completed,
    "task.created": _task_data("createdAt"),
    "task.started": _task_data("startedAt", "attempt"),
    "task.retried": _task_data("retriedAt", "attempt", "delayMs"),
    "task.cancelled": _task_data("cancelledAt"),
    "task.faulted": _task_data("faultedAt", "error"),
    "task.completed": _task_completed,
}
