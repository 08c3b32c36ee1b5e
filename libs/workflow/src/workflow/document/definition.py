"""A whole workflow document."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, RootModel, model_validator
from pydantic_core import PydanticCustomError

from workflow.document import calls, tasks
from workflow.document.data import Input, Output
from workflow.document.durations import Duration
from workflow.document.events import EventReading, EventStrategy
from workflow.document.parts import Expression, JsonObject, Maybe, Part, TextOr
from workflow.document.policies import ErrorDefinition, RetryPolicy, Timeout
from workflow.document.resources import AuthenticationPolicy, Catalog
from workflow.document.tasks import Task, TaskList


class DocumentHeader(Part):
    """Who the workflow is; `dsl` is the version of the language."""

    dsl: str
    namespace: str
    name: str
    version: str
    title: Maybe[str] = None
    summary: Maybe[str] = None
    tags: Maybe[JsonObject] = None
    metadata: Maybe[JsonObject] = None


class Extension(Part):
    """Tasks that run before and after every task of a kind."""

    extend: Literal[
        "call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try",
        "wait", "all",
    ]  # fmt: skip
    when: Maybe[Expression] = None
    before: Maybe[TaskList] = None
    after: Maybe[TaskList] = None


class NamedExtension(RootModel[dict[str, Extension]]):
    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if len(self.root) != 1:
            raise PydanticCustomError(
                "single_key", "an extension is an object with one key, its name"
            )
        return self

    @property
    def name(self) -> str:
        return next(iter(self.root))

    @property
    def extension(self) -> Extension:
        return next(iter(self.root.values()))


class Use(Part):
    """What the tasks refer to by name."""

    authentications: Maybe[dict[str, AuthenticationPolicy]] = None
    errors: Maybe[dict[str, ErrorDefinition]] = None
    extensions: Maybe[tuple[NamedExtension, ...]] = None
    functions: Maybe[dict[str, Task]] = None
    retries: Maybe[dict[str, RetryPolicy]] = None
    secrets: Maybe[tuple[str, ...]] = None
    timeouts: Maybe[dict[str, Timeout]] = None
    catalogs: Maybe[dict[str, Catalog]] = None


class Schedule(Part):
    every: Maybe[Duration] = None
    cron: Maybe[str] = None
    after: Maybe[Duration] = None
    on: Maybe[EventStrategy] = None
    read: Maybe[EventReading] = None

    @model_validator(mode="after")
    def _read_needs_on(self) -> Self:
        if self.read is not None and self.on is None:
            raise PydanticCustomError("read_without_on", "`read` needs `on`")
        return self


class Evaluate(Part):
    language: Maybe[str] = None
    mode: Maybe[Literal["strict", "loose"]] = None


class Definition(Part):
    """An immutable version of a workflow, as its document says it."""

    document: DocumentHeader
    input: Maybe[Input] = None
    use: Maybe[Use] = None
    do: TaskList
    timeout: Maybe[TextOr[Timeout]] = None
    output: Maybe[Output] = None
    schedule: Maybe[Schedule] = None
    evaluate: Maybe[Evaluate] = None


def _resolve_forward_references() -> None:
    """Task lists contain tasks that contain task lists; only now are all of them defined."""
    names: dict[str, Any] = {"TaskList": TaskList}
    for module in (calls, tasks):
        for part in vars(module).values():
            if isinstance(part, type) and issubclass(part, Part):
                part.model_rebuild(_types_namespace=names)


_resolve_forward_references()
Definition.model_rebuild()
