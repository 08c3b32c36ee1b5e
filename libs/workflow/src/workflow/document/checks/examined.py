"""A definition prepared for the checks: its parts with their pointers, and the names it declares."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from workflow.document.catalog import FunctionCatalog
from workflow.document.definition import Definition
from workflow.document.walk import Visit, walk

T = TypeVar("T")


@dataclass(frozen=True)
class Examined:
    definition: Definition
    raw: Any
    """The JSON value as it came. Parts that could not be read are only here."""
    functions: FunctionCatalog

    @cached_property
    def visits(self) -> list[Visit]:
        return list(walk(self.definition))

    def each(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """Every part of a kind, with its pointer."""
        for visit in self.visits:
            if isinstance(visit.value, kind):
                yield visit.pointer, visit.value

    def declared(self, section: str) -> list[str]:
        """The names in a section of `use`, also those whose content is broken."""
        use = self.raw.get("use") if isinstance(self.raw, dict) else None
        entries = use.get(section) if isinstance(use, dict) else None
        if not isinstance(entries, dict | list):
            return []
        return [name for name in entries if isinstance(name, str)]
