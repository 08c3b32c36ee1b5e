"""Every variable of the product in one table, derived from the settings classes."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ByteSize, SecretStr
from pydantic.fields import FieldInfo

from common.settings.durations import format_duration
from common.settings.services import SERVICES
from common.settings.variable import facts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One row of the table."""

    name: str
    type: str
    default: str
    """As an operator would write it; empty where unset is the default."""

    default_note: str | None
    """What unset comes to, where that is not a plain value."""

    services: tuple[str, ...]
    description: str
    secret: bool
    required_in_production: bool
    example: str | None
    """Its value in `.env.production.example`; `None` leaves it commented out there."""


@cache
def variables() -> tuple[Variable, ...]:
    """In order of first use: what every service shares comes first."""
    readers: dict[str, list[str]] = {}
    fields: dict[str, FieldInfo] = {}
    for service, settings_class in SERVICES.items():
        for name, field in settings_class.model_fields.items():
            readers.setdefault(name, []).append(service)
            fields.setdefault(name, field)
    ordered = sorted(fields, key=lambda name: -len(readers[name]))
    return tuple(_row(name, fields[name], tuple(readers[name])) for name in ordered)


def _row(name: str, field: FieldInfo, services: tuple[str, ...]) -> Variable:
    facts = facts_of(field)
    return Variable(
        name=name.upper(),
        type=_type_text(field.annotation),
        default=_value_text(field.default),
        default_note=facts.default_text,
        services=services,
        description=field.description or "",
        secret=facts.secret,
        required_in_production=facts.required_in_production,
        example=facts.example,
    )


_PLAIN_TYPES: dict[Any, str] = {
    int: "integer",
    float: "number",
    bool: "true or false",
    str: "text",
    SecretStr: "text",
    ByteSize: "size, such as 1MiB",
    timedelta: "duration, such as 15m",
}


def _type_text(annotation: Any) -> str:
    if annotation in _PLAIN_TYPES:
        return _PLAIN_TYPES[annotation]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " · ".join(str(member.value) for member in annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " · ".join(str(argument) for argument in arguments)
    if origin is tuple:
        return "list, separated by commas"
    if origin in {Union, UnionType}:
        return _type_text(next(one for one in arguments if one is not NoneType))
    if hasattr(annotation, "__metadata__"):
        return _type_text(arguments[0])
    return "text"


def _value_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case SecretStr():
            return value.get_secret_value()
        case timedelta():
            return format_duration(value)
        case ByteSize():
            return value.human_readable(separator="").replace(".0", "")
        case tuple():
            return ",".join(str(item) for item in value)
        case Enum():
            return str(value.value)
        case _:
            return str(value)
