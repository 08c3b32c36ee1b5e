"""Users' functions as handlers: input checked and read, run in the loop or in a thread, output written."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydantic import ValidationError

from common.errors import ConfigurationError
from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.serving.functions import Function
from common.serving.outcomes import TimedOut
from common.serving.ports import Handler
from common.serving.queue import within
from executor.schemas import Schema


def handler_of(function: Function, threads: ThreadPoolExecutor) -> Handler:
    """How an executor performs `function`. Raises `ConfigurationError` for a schema that cannot be used."""
    read = _reader(function)
    write = _writer(function)
    run = _runner(function, threads)
    seconds = function.timeout_seconds

    async def handle(input: Any, context: TaskContext) -> Any:
        value = read(input)
        try:
            result = await within(run(value, context), seconds)
        except TimedOut as error:
            raise FunctionError(
                f"{function.reference} did not finish within {seconds:g} s.", type="timeout"
            ) from error
        return write(result)

    return handle


def _reader(function: Function) -> Callable[[Any], Any]:
    """An input that does not fit will not fit the next time either: `validation`, not retryable."""
    adapter = function.input_type
    schema: Schema | None = None
    # A schema that was derived from the type hint says no more than the type itself.
    if function.input_schema is not None and not function.input_schema_is_derived:
        schema = _schema(function, function.input_schema, "input")

    def read(input: Any) -> Any:
        if schema is not None:
            schema.check(input)
        if adapter is None:
            return input
        try:
            return adapter.validate_python(input)
        except ValidationError as error:
            raise FunctionError(
                f"The input of {function.reference}: {_places(error)}",
                type="validation",
                retryable=False,
            ) from None

    return read


def _writer(function: Function) -> Callable[[Any], Any]:
    adapter = function.output_type
    schema: Schema | None = None
    if function.output_schema is not None and not function.output_schema_is_derived:
        schema = _schema(function, function.output_schema, "output")

    def write(result: Any) -> Any:
        output = (
            result if adapter is None else adapter.dump_python(result, mode="json", by_alias=True)
        )
        if schema is not None:
            schema.check(output, retryable=True)
        return output

    return write


def _runner(
    function: Function, threads: ThreadPoolExecutor
) -> Callable[[Any, TaskContext], Awaitable[Any]]:
    call = function.call
    if function.is_async:
        if function.takes_context:
            return call
        return lambda value, _context: call(value)

    async def in_thread(value: Any, context: TaskContext) -> Any:
        # A thread cannot be stopped: after a cancel or a timeout it goes on unless the function looks at
        # `context.is_cancelled`, and keeps its place in the pool until it returns.
        arguments = (value, context) if function.takes_context else (value,)
        inherited = contextvars.copy_context()
        try:
            return await asyncio.get_running_loop().run_in_executor(
                threads, inherited.run, call, *arguments
            )
        except asyncio.CancelledError:
            context.is_cancelled = True
            raise

    return in_thread


def _schema(function: Function, schema: Any, what: str) -> Schema:
    try:
        return Schema(schema, of=f"The {what} of {function.reference}")
    except ValueError as error:
        raise ConfigurationError(f"{what}_schema of {function.reference}: {error}") from error


def _places(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)[:5]
    return "; ".join(
        f"{'/'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in problems
    )
