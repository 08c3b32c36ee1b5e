"""Collects diagnostics and finds their places in the text."""

from collections.abc import Callable, Iterable
from difflib import get_close_matches

from workflow.document.diagnostics import Code, Diagnostic, Severity
from workflow.document.source import SourceMap

DIAGNOSTICS_MAX = 200
"""Errors, and warnings. Beyond that nobody reads on, and a hostile document must not make us work."""

CHOICES_MAX = 500
"""Names that are compared with one that is not known."""

Advice = str | Callable[[], str | None] | None
"""Advice, or how to get it: comparing names is work that only diagnostics that are kept deserve."""


class Report:
    def __init__(self, source: SourceMap) -> None:
        self._source = source
        self._found: dict[Severity, dict[tuple[Code, str, str], Diagnostic]] = {
            Severity.ERROR: {},
            Severity.WARNING: {},
        }

    def error(
        self,
        code: Code,
        pointer: str,
        message: str,
        advice: Advice = None,
        *,
        of_key: bool = False,
    ) -> None:
        self._add(Severity.ERROR, code, pointer, message, advice, of_key=of_key)

    def warning(
        self,
        code: Code,
        pointer: str,
        message: str,
        advice: Advice = None,
        *,
        of_key: bool = False,
    ) -> None:
        self._add(Severity.WARNING, code, pointer, message, advice, of_key=of_key)

    def line(self, pointer: str) -> int | None:
        place = self._source.place(pointer, of_key=True)
        return place.line if place else None

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Errors, then warnings, each in the order of the text."""
        return [
            diagnostic
            for found in self._found.values()
            for diagnostic in sorted(found.values(), key=_order)
        ]

    def _add(
        self,
        severity: Severity,
        code: Code,
        pointer: str,
        message: str,
        advice: Advice,
        *,
        of_key: bool,
    ) -> None:
        found = self._found[severity]
        key = (code, pointer, message)
        if key in found or len(found) >= DIAGNOSTICS_MAX:
            return
        place = self._source.place(pointer, of_key=of_key)
        found[key] = Diagnostic(
            code=code,
            severity=severity,
            message=message,
            advice=advice() if callable(advice) else advice,
            pointer=pointer,
            line=place.line if place else None,
            column=place.column if place else None,
        )


def _order(diagnostic: Diagnostic) -> tuple[int, int]:
    return diagnostic.line or 0, diagnostic.column or 0


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Advice for a name that is not known: the nearest one, or all if they are few."""
    choices = sorted(known)
    if len(choices) > CHOICES_MAX:
        return None
    near = get_close_matches(name, choices, n=1, cutoff=0.6) or [
        choice for choice in choices if choice.lower() == name.lower()
    ]
    if near:
        return f"Did you mean `{near[0]}`?"
    if 0 < len(choices) <= 20:
        return f"Known here: {', '.join(choices)}."
    return None
