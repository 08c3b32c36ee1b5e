"""The decorator for own functions, for modules that only know the executor."""

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from common.serving.functions import Function, function

__all__ = ["Function", "FunctionError", "TaskContext", "function"]
