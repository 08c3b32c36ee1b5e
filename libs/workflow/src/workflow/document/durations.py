"""Durations: an object of units, an ISO 8601 text, or an expression that gives either."""

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Discriminator, RootModel, Tag, model_validator
from pydantic_core import PydanticCustomError

from workflow.document.parts import (
    EXPRESSION_PATTERN,
    OBJECT,
    TEXT,
    Maybe,
    Part,
    WholeNumber,
    shape_of,
    wrong_shape,
)

_MILLISECONDS = {
    "days": 86_400_000,
    "hours": 3_600_000,
    "minutes": 60_000,
    "seconds": 1_000,
    "milliseconds": 1,
}

DURATION_MAX_MILLISECONDS = 100 * 365 * _MILLISECONDS["days"]
"""A hundred years. Longer ones are mistakes, and would leave the range of an instant."""

_ISO = re.compile(
    r"P(?=[\dT])(?:(?P<years>\d+(?:\.\d+)?)Y)?(?:(?P<months>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?=\d)(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
    re.ASCII,
)

# A year and a month have no fixed length. A wait must not depend on the day it starts, so they
# are counted as 365 and 30 days.
_ISO_MILLISECONDS = {
    **_MILLISECONDS,
    "years": 365 * _MILLISECONDS["days"],
    "months": 30 * _MILLISECONDS["days"],
    "weeks": 7 * _MILLISECONDS["days"],
}


class InvalidDuration(ValueError):
    """A value that is no duration; the text says why."""


class DurationUnits(Part):
    days: Maybe[WholeNumber] = None
    hours: Maybe[WholeNumber] = None
    minutes: Maybe[WholeNumber] = None
    seconds: Maybe[WholeNumber] = None
    milliseconds: Maybe[WholeNumber] = None


class Duration(
    RootModel[
        Annotated[
            Annotated[str, Tag(TEXT)] | Annotated[DurationUnits, Tag(OBJECT)],
            Discriminator(shape_of, **wrong_shape("a duration (an object or a text)")),
        ]
    ]
):
    """Either `milliseconds` or `expression` has a value, never both."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _is_a_duration(self) -> Self:
        if self.expression is not None:
            return self
        try:
            parse_duration(self.content())
        except InvalidDuration as error:
            raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from error
        return self

    @property
    def expression(self) -> str | None:
        """The expression that gives the duration when the task is reached."""
        if isinstance(self.root, str) and re.fullmatch(EXPRESSION_PATTERN, self.root):
            return self.root
        return None

    @property
    def milliseconds(self) -> int | None:
        """The constant duration; `None` if an expression gives it."""
        return None if self.expression is not None else parse_duration(self.content())

    def content(self) -> Any:
        """The JSON value this duration was read from."""
        return self.root if isinstance(self.root, str) else self.root.content()


def parse_duration(value: Any) -> int:
    """The milliseconds of a constant duration, as a document or an expression gives it."""
    match value:
        case str():
            total = _from_iso(value)
        case dict():
            total = _from_units(value)
        case _:
            raise InvalidDuration(
                "a duration is an object such as {seconds: 5}, or a text such as PT5S"
            )
    if total > DURATION_MAX_MILLISECONDS:
        raise InvalidDuration("the duration is longer than 100 years")
    return total


def _from_iso(text: str) -> int:
    match = _ISO.fullmatch(text)
    if match is None or len(text) > 100:
        raise InvalidDuration(f"{text[:40]!r} is not an ISO 8601 duration such as PT15M or P1DT12H")
    parts = match.groupdict()
    total = sum(
        Decimal(amount) * _ISO_MILLISECONDS[unit] for unit, amount in parts.items() if amount
    )
    return int(total)


def _from_units(value: dict[str, Any]) -> int:
    if not value:
        raise InvalidDuration("the duration is empty: name at least one unit, such as {seconds: 5}")
    total = 0
    for unit, amount in value.items():
        if unit not in _MILLISECONDS:
            units = ", ".join(_MILLISECONDS)
            raise InvalidDuration(f"{unit!r} is no unit of a duration; the units are {units}")
        if isinstance(amount, bool) or not isinstance(amount, int | float) or amount != int(amount):
            raise InvalidDuration(f"{unit} must be a whole number")
        if amount < 0:
            raise InvalidDuration(f"{unit} must not be negative")
        total += int(amount) * _MILLISECONDS[unit]
    return total
