"""Your own functions: an ordinary Python function and what an executor must know to serve it.

    @function("refund", version="1.0.0", queue="payments")
    async def refund(input: RefundInput, context: TaskContext) -> RefundOutput: ...

The decorator returns the function unchanged, so tests call it directly. It may be sync (it runs in a thread) or async,
and takes the input, or the input and the context. Type hints that pydantic understands become the schemas, the input
arrives as that type, and the output is written from it. `input_schema` and `output_schema` replace them.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic import BaseModel, PydanticUserError, TypeAdapter

from common.contracts.administration import FunctionDeclaration
from common.serving.context import TaskContext
from common.serving.failures import FunctionError

__all__ = ["Function", "FunctionError", "TaskContext", "function", "functions_in"]

C = TypeVar("C", bound=Callable[..., Any])

_MARK: Final = "__kwe_function__"
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,126}[A-Za-z0-9])?")
_SEMVER: Final = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")
_QUEUE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

DEFAULT_QUEUE: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function and its promises."""

    name: str
    version: str
    queue: str
    call: Callable[..., Any]
    takes_context: bool
    is_async: bool
    description: str = ""
    input_type: TypeAdapter[Any] | None = None
    """Reads the input; `None` hands it over as plain JSON."""

    output_type: TypeAdapter[Any] | None = None
    input_schema: dict[str, Any] | None = None
    output_schema: dict[str, Any] | None = None
    input_schema_is_derived: bool = False
    """From the type hint, which checks the same by itself."""

    output_schema_is_derived: bool = False
    at_most_once: bool = False
    timeout_seconds: float | None = None

    @property
    def reference(self) -> str:
        """How a task names it: `name:version`."""
        return f"{self.name}:{self.version}"

    def declaration(self) -> FunctionDeclaration:
        return FunctionDeclaration(
            name=self.name,
            version=self.version,
            queue=self.queue,
            description=self.description,
            input_schema=self.input_schema,
            output_schema=self.output_schema,
            at_most_once=self.at_most_once,
        )


def function(
    name: str,
    *,
    version: str = "1.0.0",
    queue: str = DEFAULT_QUEUE,
    input_schema: dict[str, Any] | None = None,
    output_schema: dict[str, Any] | None = None,
    at_most_once: bool = False,
    timeout: float | timedelta | None = None,
    description: str = "",
) -> Callable[[C], C]:
    """Offer the decorated function to workflows as `name:version@default`.

    `at_most_once`: ask for permission before each run; a crash then ends the task as `unknown outcome` instead of
    running it twice. `timeout`: seconds one try may take. Raises `ValueError` for a name, version, queue or
    signature that cannot work.
    """
    _check(name, version, queue)
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    if seconds is not None and seconds <= 0:
        raise ValueError(f"function {name!r}: the timeout should be above 0 seconds")

    def decorate(call: C) -> C:
        takes_context = _takes_context(name, call)
        input_type, output_type = _hinted_types(call)
        declared = Function(
            name=name,
            version=version,
            queue=queue,
            call=call,
            takes_context=takes_context,
            is_async=inspect.iscoroutinefunction(call),
            description=description or _first_line(call.__doc__),
            input_type=input_type,
            output_type=output_type,
            input_schema=input_schema or _schema(input_type, "validation"),
            output_schema=output_schema or _schema(output_type, "serialization"),
            input_schema_is_derived=input_schema is None,
            output_schema_is_derived=output_schema is None,
            at_most_once=at_most_once,
            timeout_seconds=seconds,
        )
        setattr(call, _MARK, declared)
        return call

    return decorate


def functions_in(module: object) -> Iterator[Function]:
    """Every decorated function that `module` holds under any name, each once."""
    seen: set[int] = set()
    for value in vars(module).values():
        declared = getattr(value, _MARK, None)
        if isinstance(declared, Function) and id(declared) not in seen:
            seen.add(id(declared))
            yield declared


def _check(name: str, version: str, queue: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot name a function: use letters, digits, `-`, `_` and `.`, at most 128"
        )
    if not _SEMVER.fullmatch(version):
        raise ValueError(f"function {name!r}: version {version!r} should look like 1.0.0")
    if not _QUEUE.fullmatch(queue):
        raise ValueError(
            f"function {name!r}: {queue!r} cannot name a queue: letters, digits, `-`, `_`, `.`"
        )


def _takes_context(name: str, call: Callable[..., Any]) -> bool:
    positional = [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
    ]
    required = [one for one in positional if one.default is inspect.Parameter.empty]
    if not positional or len(required) > 2:
        raise ValueError(
            f"function {name!r} should take (input) or (input, context), not {inspect.signature(call)}"
        )
    return len(positional) >= 2


def _hinted_types(
    call: Callable[..., Any],
) -> tuple[TypeAdapter[Any] | None, TypeAdapter[Any] | None]:
    try:
        hints = typing.get_type_hints(call, include_extras=True)
    except (NameError, TypeError):  # names that exist for type checkers only
        return None, None
    first = next(iter(inspect.signature(call).parameters))
    return _adapter(hints.get(first)), _adapter(hints.get("return"))


def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """For types with structure of their own; `dict`, `list`, `Any` and scalars are JSON already."""
    origin = typing.get_origin(hint)
    is_model = isinstance(hint, type) and issubclass(hint, BaseModel)
    is_structure = typing.is_typeddict(hint) or hasattr(hint, "__dataclass_fields__")
    if not (is_model or is_structure or (origin is not None and _mentions_model(hint))):
        return None
    try:
        return TypeAdapter(hint)
    except PydanticUserError:  # such as `typing.TypedDict` before Python 3.12: plain JSON then
        return None


def _mentions_model(hint: Any) -> bool:
    arguments = typing.get_args(hint)
    return any(_adapter(argument) is not None for argument in arguments)


def _schema(
    adapter: TypeAdapter[Any] | None, mode: typing.Literal["validation", "serialization"]
) -> dict[str, Any] | None:
    return adapter.json_schema(mode=mode, by_alias=True) if adapter is not None else None


def _first_line(doc: str | None) -> str:
    return doc.strip().partition("\n")[0] if doc else ""
