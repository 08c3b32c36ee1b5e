"""What all parts of a document have in common: immutable, closed, camelCase, and exact.

Exact means that a value is taken as it stands or refused: the text "5" is not the number 5, and
`null` is not an absent property. What was read can therefore be written again unchanged, with
`content()`, and only what was written is there: defaults are added when read, never when stored.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

# Tags of a union become part of pydantic's error locations. NUL is refused in every document, so
# a tag that begins with it can be told from a property name and left out of the pointer.
TAG = "\x00"
TEXT = f"{TAG}text"
OBJECT = f"{TAG}object"
LIST = f"{TAG}list"

T = TypeVar("T")


def camel_case(name: str) -> str:
    """`except_when` → `exceptWhen`; `in_` → `in`, where Python reserves the word."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


class Part(BaseModel):
    """One object of a document. Unknown properties are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=camel_case,
        populate_by_name=False,
        protected_namespaces=(),
    )

    def content(self) -> Any:
        """The JSON value this part was read from."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)


class OpenPart(Part):
    """An object that the language leaves open: its other properties are kept."""

    model_config = ConfigDict(extra="allow")


def _refuse_null(value: Any) -> Any:
    if value is None:
        raise PydanticCustomError("null_value", "this property must not be null")
    return value


def _whole_number(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("whole_number", "a whole number is expected here")
    return value


def shape_of(value: Any) -> str | None:
    """The tag for the JSON shape of a value, where the language allows several."""
    match value:
        case str():
            return TEXT
        case Mapping() | BaseModel():
            return OBJECT
        case list() | tuple():
            return LIST
        case _:
            return None


def wrong_shape(expected: str) -> dict[str, str]:
    """How a union by shape words its refusal; `expected` reads "text or an object"."""
    return {
        "custom_error_type": "wrong_shape",
        "custom_error_message": f"{expected} is expected here",
    }


Maybe = Annotated[T | None, BeforeValidator(_refuse_null)]
"""A property that may be left out, but not set to null."""

WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
Flag = StrictBool
Name = Annotated[str, StringConstraints(min_length=1)]
JsonObject = dict[str, Any]
NonEmptyObject = Annotated[dict[str, Any], Field(min_length=1)]
TextMap = dict[str, str]

Expression = str
"""A runtime expression; `${ }` around it is optional."""

_TEXT_OR_OBJECT = Discriminator(shape_of, **wrong_shape("text or an object"))  # type: ignore[arg-type]

TextOr = Annotated[Annotated[str, Tag(TEXT)] | Annotated[T, Tag(OBJECT)], _TEXT_OR_OBJECT]
"""A text (an expression, or the name of something declared in `use`), or the object itself."""

EXPRESSION_PATTERN = r"^\s*\$\{[\s\S]+\}\s*$"
EnclosedExpression = Annotated[str, StringConstraints(pattern=EXPRESSION_PATTERN)]
"""An expression where the language wants the `${ }` around it."""
