"""How data flows through a workflow or task: schemas, input, output, export."""

from typing import Any, Self

from pydantic import model_validator

from workflow.document.parts import JsonObject, Maybe, Part, TextOr
from workflow.document.resources import ExternalResource, exactly_one


class DataSchema(Part):
    """An inline `document` (any JSON value, also null) or an external `resource`."""

    format: Maybe[str] = None
    document: Any = None
    resource: Maybe[ExternalResource] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, ("document", "resource"))
        return self


class Input(Part):
    schema_: Maybe[DataSchema] = None
    from_: Maybe[TextOr[JsonObject]] = None


class Output(Part):
    schema_: Maybe[DataSchema] = None
    as_: Maybe[TextOr[JsonObject]] = None


class Export(Part):
    """What becomes the workflow's `$context`."""

    schema_: Maybe[DataSchema] = None
    as_: Maybe[TextOr[JsonObject]] = None
