"""Events: what is emitted, what is listened to, and how several are combined."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from workflow.document.parts import Expression, Maybe, OpenPart, Part, TextOr
from workflow.document.resources import Uri, exactly_one

EventReading = Literal["data", "envelope", "raw"]


class EventProperties(OpenPart):
    """CloudEvents context attributes, extension attributes, and the data."""

    id: Maybe[str] = None
    source: Maybe[Uri] = None
    type: Maybe[str] = None
    time: Maybe[str] = None
    subject: Maybe[str] = None
    datacontenttype: Maybe[str] = None
    dataschema: Maybe[Uri] = None
    data: Any = None


class EmittedProperties(EventProperties):
    type: str = Field()


class EmittedEvent(OpenPart):
    with_: EmittedProperties


class Emission(Part):
    event: EmittedEvent


class Correlation(Part):
    from_: Expression
    expect: Maybe[str] = None
    """A constant or an expression; without it the first value becomes the expectation."""


def _some_property(properties: EventProperties) -> EventProperties:
    if not properties.model_fields_set:
        raise PydanticCustomError("too_short", "name at least one property of the event")
    return properties


class EventFilter(Part):
    with_: Annotated[EventProperties, AfterValidator(_some_property)]
    correlate: Maybe[dict[str, Correlation]] = None


class EventStrategy(Part):
    """Exactly one of `all`, `any` and `one`; `until` belongs to `any`."""

    all: Maybe[tuple[EventFilter, ...]] = None
    any: Maybe[tuple[EventFilter, ...]] = None
    one: Maybe[EventFilter] = None
    until: "Maybe[TextOr[EventStrategy]]" = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        exactly_one(self, ("all", "any", "one"))
        if self.until is not None and self.any is None:
            raise PydanticCustomError("until_without_any", "`until` belongs to `any` only")
        if isinstance(self.until, EventStrategy) and self.until.until is not None:
            raise PydanticCustomError(
                "nested_until", "the strategy in `until` must not have an `until` of its own"
            )
        return self


EventStrategy.model_rebuild()
