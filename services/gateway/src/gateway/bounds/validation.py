"""From a parsed body to a model, or to a 422 that points at every wrong place."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from common.errors import InvalidRequest, Unprocessable, Violation
from gateway.bounds.json_text import VIOLATIONS_MAX, pointer_of

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """Base of what callers send. A field that nobody knows is refused: it is a misspelt one."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        populate_by_name=False,
        hide_input_in_errors=True,
    )


class Query(BaseModel):
    """Base of the parameters in a URL, which are text until they are validated."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, hide_input_in_errors=True
    )


def validated(model: type[M], value: Any) -> M:
    """The body as `model`, or `Unprocessable`."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Unprocessable(
            "The body does not have the form that is expected here.",
            code="invalid_body",
            errors=violations_of(error),
        ) from None


def validated_query(model: type[M], parameters: dict[str, Any]) -> M:
    """The URL's parameters as `model`, or `InvalidRequest`."""
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise InvalidRequest(
            "The URL's parameters do not have the form that is expected here.",
            code="invalid_parameter",
            errors=violations_of(error, parameter=True),
        ) from None


def violations_of(error: ValidationError, *, parameter: bool = False) -> list[Violation]:
    """One per wrong place; the value itself is never repeated, it may be a secret."""
    return [
        Violation(
            str(each["loc"][0]) if parameter and each["loc"] else pointer_of(each["loc"]),
            _sentence(each["type"], each["msg"]),
        )
        for each in error.errors(include_url=False, include_context=False, include_input=False)[
            :VIOLATIONS_MAX
        ]
    ]


def _sentence(kind: str, message: str) -> str:
    match kind:
        case "extra_forbidden":
            return "is not known here; check the spelling"
        case "missing":
            return "is required"
        case "model_type" | "model_attributes_type" | "dict_type":
            return "should be an object"
        case "value_error":
            return message.removeprefix("Value error, ")
        case _:
            return message[:1].lower() + message[1:]
