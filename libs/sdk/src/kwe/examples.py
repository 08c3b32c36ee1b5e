"""Where the examples are: in the source tree, wherever the command runs."""

from __future__ import annotations

from pathlib import Path

from kwe.errors import Unusable

POLICIES = Path("policies")
REFUND_POLICY = Path("refund-policy")


def examples_folder(start: Path | None = None) -> Path:
    """The nearest `examples/` from the current folder upwards, or the one of this source tree."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        found = folder / "examples"
        if (found / REFUND_POLICY / "workflow.yaml").is_file():
            return found
    raise Unusable("the examples are part of the source tree; run this inside a clone of it")
