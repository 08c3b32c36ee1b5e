"""What `run` can start: containers, scripts, shell commands, other workflows."""

from typing import Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from workflow.document.durations import Duration
from workflow.document.parts import Flag, JsonObject, Maybe, Part
from workflow.document.resources import ExternalResource, exactly_one

Return = Literal["stdout", "stderr", "code", "all", "none"]
RUN_KINDS = ("container", "script", "shell", "workflow")


class ContainerLifetime(Part):
    cleanup: Literal["always", "never", "eventually"]
    after: Maybe[Duration] = None

    @model_validator(mode="after")
    def _after_is_for_eventually(self) -> Self:
        if (self.cleanup == "eventually") != (self.after is not None):
            raise PydanticCustomError(
                "cleanup_after", "`after` is required with cleanup `eventually`, and only there"
            )
        return self


class Container(Part):
    image: str
    name: Maybe[str] = None
    command: Maybe[str] = None
    ports: Maybe[JsonObject] = None
    volumes: Maybe[JsonObject] = None
    environment: Maybe[JsonObject] = None
    stdin: Maybe[str] = None
    arguments: Maybe[tuple[str, ...]] = None
    lifetime: Maybe[ContainerLifetime] = None
    pull_policy: Maybe[Literal["ifNotPresent", "always", "never"]] = None


class Script(Part):
    """Exactly one of `code` and `source`."""

    language: str
    code: Maybe[str] = None
    source: Maybe[ExternalResource] = None
    stdin: Maybe[str] = None
    arguments: Maybe[tuple[str, ...]] = None
    environment: Maybe[JsonObject] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, ("code", "source"))
        return self


class Shell(Part):
    command: str
    stdin: Maybe[str] = None
    arguments: Maybe[tuple[str, ...]] = None
    environment: Maybe[JsonObject] = None


class Subflow(Part):
    """Another workflow; version `latest` is the highest when the task starts."""

    namespace: str
    name: str
    version: str
    input: Maybe[JsonObject] = None


class Process(Part):
    """Exactly one of the four kinds."""

    container: Maybe[Container] = None
    script: Maybe[Script] = None
    shell: Maybe[Shell] = None
    workflow: Maybe[Subflow] = None
    await_: Maybe[Flag] = None
    return_: Maybe[Return] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, RUN_KINDS)
        return self

    @property
    def kind(self) -> str:
        return next(kind for kind in RUN_KINDS if kind in self.model_fields_set)

    @property
    def awaited(self) -> bool:
        return self.await_ is not False
