"""The tasks: a closed union, told apart by the key that says what the task does.

A task list is a list of single-key objects, so that order and names are both kept: `NamedTask`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, RootModel, Tag
from pydantic_core import PydanticCustomError

from workflow.document import calls
from workflow.document.data import Export, Input, Output
from workflow.document.durations import Duration
from workflow.document.events import Emission, EventReading, EventStrategy
from workflow.document.parts import (
    LIST,
    TAG,
    TEXT,
    Expression,
    Flag,
    JsonObject,
    Maybe,
    NonEmptyObject,
    Part,
    TextOr,
    shape_of,
    wrong_shape,
)
from workflow.document.policies import ErrorDefinition, ErrorFilter, RetryPolicy, Timeout
from workflow.document.processes import Process

TASK_KINDS = (
    "call", "do", "emit", "for", "fork", "listen", "raise", "run", "set", "switch", "try", "wait",
)  # fmt: skip

CALL_KINDS = ("http", "openapi", "grpc", "asyncapi", "a2a", "mcp")
"""What `call` may name besides a function."""


class TaskBase(Part):
    if_: Maybe[Expression] = None
    input: Maybe[Input] = None
    output: Maybe[Output] = None
    export: Maybe[Export] = None
    timeout: Maybe[TextOr[Timeout]] = None
    then: Maybe[str] = None
    """`continue`, `exit`, `end`, or the name of a task in the same scope."""
    metadata: Maybe[JsonObject] = None


class CallHttpTask(TaskBase):
    call: Literal["http"]
    with_: calls.HttpArguments


class CallOpenApiTask(TaskBase):
    call: Literal["openapi"]
    with_: calls.OpenApiArguments


class CallGrpcTask(TaskBase):
    call: Literal["grpc"]
    with_: calls.GrpcArguments


class CallAsyncApiTask(TaskBase):
    call: Literal["asyncapi"]
    with_: calls.AsyncApiArguments


class CallA2aTask(TaskBase):
    call: Literal["a2a"]
    with_: calls.A2aArguments


class CallMcpTask(TaskBase):
    call: Literal["mcp"]
    with_: calls.McpArguments


class CallFunctionTask(TaskBase):
    call: Annotated[str, Field(json_schema_extra={"not": {"enum": [*CALL_KINDS]}})]
    """A name in `use.functions`, `name:version@catalog`, or a URL."""
    with_: Maybe[JsonObject] = None


class DoTask(TaskBase):
    do: "TaskList"


class EmitTask(TaskBase):
    emit: Emission


def _inline_items(value: Any) -> Any:
    if isinstance(value, list) and not all(isinstance(item, Mapping) for item in value):
        raise PydanticCustomError(
            "inline_items",
            "an inline list holds objects only; for other values use an expression",
        )
    return value


class Loop(Part):
    each: Maybe[str] = None
    in_: Annotated[
        Annotated[str, Tag(TEXT)] | Annotated[tuple[JsonObject, ...], Tag(LIST)],
        Discriminator(shape_of, **wrong_shape("an expression or a list of objects")),
        BeforeValidator(_inline_items),
    ]
    at: Maybe[str] = None

    @property
    def item_name(self) -> str:
        return self.each or "item"

    @property
    def index_name(self) -> str:
        return self.at or "index"


class ForTask(TaskBase):
    for_: Loop
    while_: Maybe[Expression] = None
    do: "TaskList"


class ForkConfiguration(Part):
    branches: "TaskList"
    compete: Maybe[Flag] = None


class ForkTask(TaskBase):
    fork: ForkConfiguration


class Listening(Part):
    to: EventStrategy
    read: Maybe[EventReading] = None


class ListenTask(TaskBase):
    listen: Listening
    foreach: Maybe[calls.SubscriptionIterator] = None


class Raising(Part):
    error: TextOr[ErrorDefinition]
    """The error, or its name in `use.errors`."""


class RaiseTask(TaskBase):
    raise_: Raising


class RunTask(TaskBase):
    run: Process


class SetTask(TaskBase):
    set: TextOr[NonEmptyObject]


class SwitchCase(Part):
    when: Maybe[Expression] = None
    """Without it the case always matches."""
    then: str


class SwitchItem(RootModel[Annotated[dict[str, SwitchCase], Field(min_length=1, max_length=1)]]):
    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def case(self) -> SwitchCase:
        return next(iter(self.root.values()))


class SwitchTask(TaskBase):
    switch: Annotated[tuple[SwitchItem, ...], Field(min_length=1)]


class CaughtErrors(Part):
    with_: Maybe[ErrorFilter] = None


class Catch(Part):
    errors: Maybe[CaughtErrors] = None
    as_: Maybe[str] = None
    """The variable that holds the error; `error` if not given."""
    when: Maybe[Expression] = None
    except_when: Maybe[Expression] = None
    retry: Maybe[TextOr[RetryPolicy]] = None
    """The policy, or its name in `use.retries`."""
    do: "Maybe[TaskList]" = None
    then: Maybe[str] = None

    @property
    def error_name(self) -> str:
        return self.as_ or "error"


class TryTask(TaskBase):
    try_: "TaskList"
    catch: Catch


class WaitTask(TaskBase):
    wait: Duration


_CALLS: dict[str, type[TaskBase]] = {
    "http": CallHttpTask,
    "openapi": CallOpenApiTask,
    "grpc": CallGrpcTask,
    "asyncapi": CallAsyncApiTask,
    "a2a": CallA2aTask,
    "mcp": CallMcpTask,
}


def kinds_in(value: Mapping[str, Any]) -> list[str]:
    """The keys of a task that say what it does; a well-formed task has exactly one.

    The `do` of a loop is its body.
    """
    kinds = [kind for kind in TASK_KINDS if kind in value]
    return [kind for kind in kinds if kind != "do"] if "for" in kinds else kinds


def _one_kind(value: Any) -> Any:
    if isinstance(value, TaskBase):
        return value
    if not isinstance(value, Mapping):
        raise PydanticCustomError("task_shape", "a task is an object such as {set: {…}}")
    kinds = kinds_in(value)
    if len(kinds) != 1:
        found = "has both " + " and ".join(kinds) if kinds else "has none of them"
        raise PydanticCustomError(
            "task_kind",
            "a task has exactly one of {alternatives}; this one {found}",
            {"alternatives": ", ".join(TASK_KINDS), "found": found},
        )
    if kinds == ["call"] and not isinstance(value["call"], str):
        raise PydanticCustomError("call_name", "`call` names a kind of call or a function")
    return value


def _tag(value: Any) -> str:
    if isinstance(value, TaskBase):
        return f"{TAG}{type(value).__name__}"
    kind = kinds_in(value)[0]
    if kind == "call":
        return f"{TAG}{_CALLS.get(value['call'], CallFunctionTask).__name__}"
    return f"{TAG}{kind.capitalize()}Task"


Task: TypeAlias = Annotated[
    Annotated[CallHttpTask, Tag(f"{TAG}CallHttpTask")]
    | Annotated[CallOpenApiTask, Tag(f"{TAG}CallOpenApiTask")]
    | Annotated[CallGrpcTask, Tag(f"{TAG}CallGrpcTask")]
    | Annotated[CallAsyncApiTask, Tag(f"{TAG}CallAsyncApiTask")]
    | Annotated[CallA2aTask, Tag(f"{TAG}CallA2aTask")]
    | Annotated[CallMcpTask, Tag(f"{TAG}CallMcpTask")]
    | Annotated[CallFunctionTask, Tag(f"{TAG}CallFunctionTask")]
    | Annotated[DoTask, Tag(f"{TAG}DoTask")]
    | Annotated[EmitTask, Tag(f"{TAG}EmitTask")]
    | Annotated[ForTask, Tag(f"{TAG}ForTask")]
    | Annotated[ForkTask, Tag(f"{TAG}ForkTask")]
    | Annotated[ListenTask, Tag(f"{TAG}ListenTask")]
    | Annotated[RaiseTask, Tag(f"{TAG}RaiseTask")]
    | Annotated[RunTask, Tag(f"{TAG}RunTask")]
    | Annotated[SetTask, Tag(f"{TAG}SetTask")]
    | Annotated[SwitchTask, Tag(f"{TAG}SwitchTask")]
    | Annotated[TryTask, Tag(f"{TAG}TryTask")]
    | Annotated[WaitTask, Tag(f"{TAG}WaitTask")],
    Discriminator(_tag),
    BeforeValidator(_one_kind),
]


class NamedTask(RootModel[Annotated[dict[str, Task], Field(min_length=1, max_length=1)]]):
    """One entry of a task list: the task and the name it has in its scope."""

    model_config = ConfigDict(frozen=True)

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def task(self) -> Task:
        return next(iter(self.root.values()))


TaskList: TypeAlias = tuple[NamedTask, ...]
