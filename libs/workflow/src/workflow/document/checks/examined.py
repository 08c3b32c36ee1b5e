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

    def declared(self, section: str) -> dict[str, None]:
        """The names in a section of `use` in order, also those whose content is broken."""
        return self._declared.get(section, {})

    @cached_property
    def _declared(self) -> dict[str, dict[str, None]]:
        use = self.raw.get("use") if isinstance(self.raw, dict) else None
        return {
            section: {name: None for name in entries if isinstance(name, str)}
            for section, entries in (use.items() if isinstance(use, dict) else ())
            if isinstance(entries, dict | list)
        }
