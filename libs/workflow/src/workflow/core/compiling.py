"""What compiling a task needs of whoever walks the document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from workflow.core.nodes import Node
from workflow.core.values import Json
from workflow.document.catalog import FunctionCatalog

Task = Mapping[str, Json]


class Compiler(ABC):
    """What the specs need of the planner."""

    def __init__(self, use: Mapping[str, Json], functions: FunctionCatalog) -> None:
        self.use = use
        self.catalog = functions

    @abstractmethod
    def tasks(self, entries: list[Json], pointer: str, prefix: str) -> tuple[Node, ...]: ...

    @abstractmethod
    def function(self, name: str) -> Node: ...

    @abstractmethod
    def directive(self, then: str | None, names: list[str]) -> int: ...
