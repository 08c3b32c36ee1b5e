"""Who may run an entry: the whole decision, once in Python for tests and simulation; `lua/*.lua` say the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

CANCELLED: Final = "cancelled"
"""What the orchestrator writes into the claim of a try that nobody wants any more."""

CLAIM_OUTLIVES_LEASE: Final = 2
"""How many leases a claim lives: it must still be there when its abandoned entry is taken over, to tell whose it was."""

_DONE: Final = "done|"


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry and the try (or request) it stands for."""

    entry_id: str
    key: str
    """Name of the claim key."""

    generation: str = ""
    """Of the Redis contents that the entry was published into; empty when its publisher named none."""

    is_stale: bool = False
    """The entry survived from before a loss, and what it stands for was published again. It counts only where the
    claim names it: then the other one was dropped as its duplicate."""


class Verdict(IntEnum):
    """What the claim says about an entry that was read. The numbers are the scripts' answers."""

    FRESH = 0
    """Nobody had it: run."""

    OURS = 1
    """We had it and read it again: run, unless it is running in this process."""

    TAKEN_OVER = 2
    """Another consumer had this very entry: run, after saying that its worker is lost."""

    DUPLICATE = 3
    """Another entry stands for this try, or it is done."""

    CANCELLED = 4

    @property
    def runs(self) -> bool:
        return self <= Verdict.TAKEN_OVER


def held(entry_id: str, consumer: str) -> str:
    """Value of the claim of a running try. `|` occurs in no entry id."""
    return f"{entry_id}|{consumer}"


def done(generation: str) -> str:
    """Value of the claim of an answered try.

    It names the generation: what is published again after a loss of Redis must run again, because the answer may
    be among what was lost.
    """
    return f"{_DONE}{generation}"


def judge(current: str | None, wanted: Claim, consumer: str) -> Verdict:
    """What becomes of an entry, by the value of its claim."""
    fresh = Verdict.DUPLICATE if wanted.is_stale else Verdict.FRESH
    if current is None:
        return fresh
    if current == CANCELLED:
        return Verdict.CANCELLED
    if current.startswith(_DONE):
        is_same_generation = current == done(wanted.generation)
        return Verdict.DUPLICATE if is_same_generation else fresh
    entry_id, _, owner = current.partition("|")
    if entry_id != wanted.entry_id:
        return Verdict.DUPLICATE
    return Verdict.OURS if owner == consumer else Verdict.TAKEN_OVER


def may_go_on(current: str | None, running: Claim, consumer: str) -> bool:
    """Whether a running try is still ours. Absent means that Redis lost it: a live owner claims it again."""
    return current is None or current == held(running.entry_id, consumer)


def is_spent(current: str | None, running: Claim) -> bool:
    """Whether the entry of a try that must stop goes away too; one that changed hands belongs to its new owner."""
    return current is None or not current.startswith(f"{running.entry_id}|")
