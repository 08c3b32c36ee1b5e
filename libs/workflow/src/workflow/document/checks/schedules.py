"""Cron expressions: five fields, in UTC."""

import re
from calendar import monthrange

from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of the month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of the week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]+))?", re.ASCII)
_LEAP_YEAR = 2024


class InvalidCron(ValueError):
    """The text says what is wrong."""


def check(document: Examined, report: Report) -> None:
    schedule = document.definition.schedule
    if schedule is None or schedule.cron is None:
        return
    try:
        parse_cron(schedule.cron)
    except InvalidCron as error:
        report.error(
            Code.CRON,
            "/schedule/cron",
            str(error),
            "The five fields are minute, hour, day of the month, month, day of the week, in UTC:"
            " '30 6 * * mon-fri' is half past six on weekdays.",
        )


def parse_cron(text: str) -> tuple[frozenset[int], ...]:
    """The values that match, for each of the five fields. Sunday is 0."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise InvalidCron(f"a cron expression has five fields; this one has {len(fields)}")
    minutes, hours, days, months, weekdays = (
        _field(item, *field) for item, field in zip(fields, _FIELDS, strict=True)
    )
    weekdays = frozenset(day % 7 for day in weekdays)
    if fields[4] == "*" and not any(_has_day(month, days) for month in months):
        raise InvalidCron("there is no such day in any of these months, so it would never fire")
    return minutes, hours, days, months, weekdays


def _has_day(month: int, days: frozenset[int]) -> bool:
    return min(days) <= monthrange(_LEAP_YEAR, month)[1]


def _field(text: str, name: str, low: int, high: int, words: dict[str, int]) -> frozenset[int]:
    values: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise InvalidCron(f"{item[:20]!r} is not a value of the field {name}")
        step = int(match["step"] or 1)
        first, last = low, high
        if match["first"] is not None:
            first = _number(match["first"], name, low, high, words)
            last = high if match["step"] and match["last"] is None else first
        if match["last"] is not None:
            last = _number(match["last"], name, low, high, words)
        if first > last or step < 1 or step > high:
            raise InvalidCron(f"{item[:20]!r} is not a range of the field {name}")
        values.update(range(first, last + 1, step))
    return frozenset(values)


def _number(text: str, name: str, low: int, high: int, words: dict[str, int]) -> int:
    number = words.get(text.lower(), int(text) if text.isdecimal() and len(text) <= 2 else -1)
    if not low <= number <= high:
        raise InvalidCron(f"{text[:20]!r} is not a {name}: {low} to {high}")
    return number
