"""What was measured, for people and for machines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).resolve().parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure."""

    part: str
    what: str
    value: float
    unit: str
    reach: str = ""
    """What is aimed at on two quiet cores, as text."""

    noisy: bool = False
    """Something else kept the machine busy meanwhile: read the figure as a lower bound of what is possible."""

    detail: dict[str, Any] = field(default_factory=dict)


def show(rows: Iterable[Row]) -> str:
    """A table of aligned columns."""
    cells = [("", "what", "measured", "aim", "")]
    cells += [
        (row.part, row.what, f"{_number(row.value)} {row.unit}", row.reach, "noisy" * row.noisy)
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column == 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in cells
    )


def write(name: str, machine: dict[str, Any], rows: Iterable[Row], folder: Path = RESULTS) -> Path:
    """One JSON file, named by what was measured and when."""
    folder.mkdir(parents=True, exist_ok=True)
    at = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    path = folder / f"{name}-{at}.json"
    content = {"at": at, "machine": machine, "figures": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
