"""What is known about one variable, and how a settings class declares it.

A variable is declared once, as a field of a settings class. Its environment name is the field's name in
capitals. Documentation, examples and start-up checks all read that declaration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What pydantic's own field description has no place for."""

    secret: bool = False
    """Shown nowhere; may come from the file that `NAME_FILE` points to."""

    required_in_production: bool = False

    example: str | None = None
    """The value in `.env.production.example`. `None` leaves the line commented out there."""

    default_text: str | None = None
    """What the tables say where the default is not a plain value."""


def variable(
    default: Any = PydanticUndefined,
    *,
    description: str,
    secret: bool = False,
    required_in_production: bool = False,
    example: str | None = None,
    default_text: str | None = None,
    default_factory: Callable[[], Any] | None = None,
    **constraints: Any,
) -> Any:
    """Declare a variable. `constraints` are pydantic's own: `ge`, `le`, `pattern`, `min_length`, …"""
    facts = Facts(
        secret=secret,
        required_in_production=required_in_production,
        example=example,
        default_text=default_text,
    )
    if default_factory is not None:
        constraints["default_factory"] = default_factory
    else:
        constraints["default"] = default
    return Field(description=description, json_schema_extra={"facts": facts}, **constraints)  # type: ignore[dict-item]  # kept for ourselves, never rendered as JSON schema


def facts_of(field: FieldInfo) -> Facts:
    extra = field.json_schema_extra
    facts = extra.get("facts") if isinstance(extra, dict) else None
    assert isinstance(facts, Facts), "every field of a settings class is declared with variable()"
    return facts


def _split(value: Any) -> Any:
    """`a, b` as an operator writes it. An empty list is the empty string."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A list of words, separated by commas in the environment."""

SPLIT = BeforeValidator(_split)
