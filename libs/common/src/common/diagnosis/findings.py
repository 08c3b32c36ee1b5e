"""One thing that was looked at, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """Works, and will hurt some day."""

    PROBLEM = "problem"
    """A service would not start, or would lose something."""


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    level: Level
    detail: str
    remedy: str = ""
    """What an operator does about it; empty where all is well."""

    @property
    def sentence(self) -> str:
        return f"{self.detail}: {self.remedy}" if self.remedy else self.detail

    def as_json(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "level": self.level.value,
            "ok": self.level is not Level.PROBLEM,
            "detail": self.detail,
            "remedy": self.remedy or None,
        }


def ok(check: str, detail: str) -> Finding:
    return Finding(check, Level.OK, detail)


def warning(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, detail, remedy)


def problem(check: str, detail: str, remedy: str) -> Finding:
    return Finding(check, Level.PROBLEM, detail, remedy)


CLOCK_SKEW_MAX_SECONDS = 30.0
"""What tokens are forgiven. Beyond it they are refused, and leases and deadlines mean nothing."""

CLOCK_SKEW_NOTICED_SECONDS = 2.0


def judge_clock(check: str, server: str, skew_seconds: float) -> Finding:
    """`skew_seconds` is how far ahead the server's clock is of this machine's."""
    way = "ahead of" if skew_seconds > 0 else "behind"
    detail = f"{server}'s clock is {abs(skew_seconds):.1f} s {way} this machine's"
    remedy = "synchronise the clocks of both machines (chrony or systemd-timesyncd)"
    if abs(skew_seconds) > CLOCK_SKEW_MAX_SECONDS:
        return problem(check, detail, remedy)
    if abs(skew_seconds) > CLOCK_SKEW_NOTICED_SECONDS:
        return warning(check, detail, remedy)
    return ok(check, f"{server} and this machine agree within {abs(skew_seconds):.1f} s")
