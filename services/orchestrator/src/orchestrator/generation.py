"""The generation of what Redis holds: a new one whenever its contents were lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Generation:
    """The current generation as this process knows it; task requests carry it."""

    current: str = ""
