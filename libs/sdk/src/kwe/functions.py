"""Your own functions: decorate them here, serve them with `kwe worker MODULE --queue Q`.

from kwe.functions import TaskContext, function

@function("greet", version="1.0.0", queue="greetings")
async def greet(input: dict, context: TaskContext) -> dict:
    return {"text": f"Hello {input['name']}"}
"""

try:
    from common.serving.context import TaskContext
    from common.serving.failures import FunctionError
    from common.serving.functions import Function, function
except ImportError as error:  # the client alone does not need the engine's libraries
    raise ImportError(
        "Own functions need the worker's libraries: install kwe-sdk[worker]"
    ) from error

__all__ = ["Function", "FunctionError", "TaskContext", "function"]
