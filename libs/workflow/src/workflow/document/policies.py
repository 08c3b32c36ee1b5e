"""What happens when things go wrong or take too long: errors, retries, timeouts."""

from typing import Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from workflow.document.durations import Duration
from workflow.document.parts import Expression, JsonObject, Maybe, Part, WholeNumber
from workflow.document.resources import Uri, exactly_one


class Timeout(Part):
    after: Duration


class ErrorDefinition(Part):
    """An RFC 7807 problem."""

    type: Uri
    status: WholeNumber
    instance: Maybe[str] = None
    title: Maybe[str] = None
    detail: Maybe[str] = None


class ErrorFilter(Part):
    """Every property given must equal the error's."""

    type: Maybe[str] = None
    status: Maybe[WholeNumber] = None
    instance: Maybe[str] = None
    title: Maybe[str] = None
    detail: Maybe[str] = None

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if not self.model_fields_set:
            raise PydanticCustomError(
                "too_short", "name at least one of type, status, instance, title, detail"
            )
        return self


class Backoff(Part):
    """Exactly one of the three; their configuration objects have no properties yet."""

    constant: Maybe[JsonObject] = None
    exponential: Maybe[JsonObject] = None
    linear: Maybe[JsonObject] = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        exactly_one(self, ("constant", "exponential", "linear"))
        return self


class AttemptLimit(Part):
    count: Maybe[WholeNumber] = None
    """How many retries may follow the first try."""
    duration: Maybe[Duration] = None


class RetryLimit(Part):
    attempt: Maybe[AttemptLimit] = None
    duration: Maybe[Duration] = None


class Jitter(Part):
    from_: Duration
    to: Duration


class RetryPolicy(Part):
    when: Maybe[Expression] = None
    except_when: Maybe[Expression] = None
    delay: Maybe[Duration] = None
    backoff: Maybe[Backoff] = None
    limit: Maybe[RetryLimit] = None
    jitter: Maybe[Jitter] = None
