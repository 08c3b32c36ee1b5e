"""How much of everything is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PARTS: Final = "abcdefgh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    parts: str = PARTS
    is_quick: bool = False
    count: int = 10_000
    """Workflows in one throughput run."""

    runs: int = 3
    clients: int = 256
    singles: int = 300
    """Workflows that are sent one at a time."""

    forks: tuple[int, ...] = (100, 1000)
    loops: tuple[int, ...] = (250, 500, 1000)
    repeats: int = 5
    """Of each fork."""

    loop_repeats: int = 2

    idle_s: float = 10.0
    pairs: int = 3
    """Of runs with and without tracing."""

    scaling_count: int = 600
    """Workflows for each replica in one run."""

    scaling_runs: int = 2

    def has(self, part: str) -> bool:
        return part in self.parts


QUICK: Final = Plan(
    is_quick=True,
    count=500,
    runs=1,
    singles=30,
    forks=(20, 100),
    loops=(10, 20),
    repeats=1,
    loop_repeats=1,
    idle_s=3.0,
    pairs=1,
    scaling_count=60,
    scaling_runs=1,
)
"""Says whether everything works, not how fast it is."""
