"""The Python client, the decorator for own functions, and the kit for consumers of events.

    from kwe import Client

    async with Client() as kwe:
        execution = await kwe.run("support/refund-policy", {"question": "How long may I return it?"})
        print(execution.output)

Names are imported when they are first used, so that the command line answers at once.
"""

TYPE_CHECKING = (
    False  # type checkers know the name; importing typing would be most of what `kwe health` costs
)
if TYPE_CHECKING:
    from typing import Any

    from kwe.client import Client
    from kwe.client.models import Execution
    from kwe.errors import KweError
    from kwe.events import EventConsumer
    from kwe.functions import FunctionError, TaskContext, function

_HOMES = {
    "Client": "kwe.client",
    "EventConsumer": "kwe.events",
    "Execution": "kwe.client.models",
    "FunctionError": "kwe.functions",
    "KweError": "kwe.errors",
    "TaskContext": "kwe.functions",
    "function": "kwe.functions",
}

__all__ = [
    "Client",
    "EventConsumer",
    "Execution",
    "FunctionError",
    "KweError",
    "TaskContext",
    "function",
]


def __getattr__(name: str) -> "Any":
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kwe' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
