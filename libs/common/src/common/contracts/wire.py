"""Which messages a stream may carry, and how its readers decode them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from common.contracts.administration import (
    CreateApiKey,
    CreateOrganization,
    DeleteSecret,
    RedriveDeadLetter,
    RegisterFunctions,
    RegisterWorkflow,
    RevokeApiKey,
    SetSecret,
)
from common.contracts.arrivals import EventsArrived, PublishEvents
from common.contracts.base import Message, union_adapter
from common.contracts.executions import (
    CancelExecution,
    ChildClosed,
    ContinueExecution,
    ResumeExecution,
    StartExecution,
    SuspendExecution,
)
from common.contracts.knowledge import (
    AddDocuments,
    CreateCollection,
    DeleteCollection,
    DeleteDocument,
    Search,
)
from common.contracts.replies import Reply
from common.contracts.tasks import (
    TaskClaim,
    TaskFailed,
    TaskHeartbeat,
    TaskRequested,
    TaskSucceeded,
    WorkerLost,
)

COMMANDS: tuple[type[Message], ...] = (
    StartExecution,
    PublishEvents,
    RegisterWorkflow,
    RegisterFunctions,
    CreateOrganization,
    CreateApiKey,
    RedriveDeadLetter,
    RevokeApiKey,
    SetSecret,
    DeleteSecret,
)
RESULTS: tuple[type[Message], ...] = (
    TaskSucceeded,
    TaskFailed,
    TaskHeartbeat,
    WorkerLost,
    TaskClaim,
    CancelExecution,
    SuspendExecution,
    ResumeExecution,
    ContinueExecution,
    ChildClosed,
    EventsArrived,
)
TASKS: tuple[type[Message], ...] = (
    TaskRequested,
    CreateCollection,
    DeleteCollection,
    AddDocuments,
    DeleteDocument,
    Search,
)
REPLIES: tuple[type[Message], ...] = (Reply,)
ALL: tuple[type[Message], ...] = (*COMMANDS, *RESULTS, *TASKS, *REPLIES)

_orchestrator = union_adapter(*COMMANDS, *RESULTS)
_tasks = union_adapter(*TASKS)
_reply = union_adapter(Reply)


class Unreadable(ValueError):
    """The bytes are no message that this reader knows: set the entry aside, do not drop it."""


def decode_for_orchestrator(raw: bytes) -> Any:
    return _decode(_orchestrator, raw)


def decode_task(raw: bytes) -> Any:
    return _decode(_tasks, raw)


def decode_reply(raw: bytes) -> Reply:
    reply = _decode(_reply, raw)
    assert isinstance(reply, Reply)
    return reply


def _decode(adapter: TypeAdapter[Any], raw: bytes) -> Any:
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        raise Unreadable(f"{error.error_count()} problems: {error.errors()[0]['msg']}") from error
