"""Collects diagnostics and finds their places in the text."""

from collections.abc import Iterable
from difflib import get_close_matches

from workflow.document.diagnostics import Code, Diagnostic, Severity
from workflow.document.source import SourceMap

DIAGNOSTICS_MAX = 200
"""Beyond that nobody reads on, and a hostile document must not make us write a long answer."""


class Report:
    def __init__(self, source: SourceMap) -> None:
        self._source = source
        self._found: dict[tuple[Code, str, str], Diagnostic] = {}

    def error(
        self,
        code: Code,
        pointer: str,
        message: str,
        advice: str | None = None,
        *,
        of_key: bool = False,
    ) -> None:
        self._add(Severity.ERROR, code, pointer, message, advice, of_key=of_key)

    def warning(
        self,
        code: Code,
        pointer: str,
        message: str,
        advice: str | None = None,
        *,
        of_key: bool = False,
    ) -> None:
        self._add(Severity.WARNING, code, pointer, message, advice, of_key=of_key)

    def line(self, pointer: str) -> int | None:
        place = self._source.place(pointer, of_key=True)
        return place.line if place else None

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """In the order of the text; errors first where there is no text."""
        ordered = sorted(self._found.values(), key=_order)
        return ordered[:DIAGNOSTICS_MAX]

    def _add(
        self,
        severity: Severity,
        code: Code,
        pointer: str,
        message: str,
        advice: str | None,
        *,
        of_key: bool,
    ) -> None:
        place = self._source.place(pointer, of_key=of_key)
        self._found.setdefault(
            (code, pointer, message),
            Diagnostic(
                code=code,
                severity=severity,
                message=message,
                advice=advice,
                pointer=pointer,
                line=place.line if place else None,
                column=place.column if place else None,
            ),
        )


def _order(diagnostic: Diagnostic) -> tuple[int, int, int]:
    # Errors come first only as a whole: a document with 200 warnings must still show its error.
    return (
        diagnostic.severity is not Severity.ERROR,
        diagnostic.line or 0,
        diagnostic.column or 0,
    )


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Advice for a name that is not known: the nearest one, or all if they are few."""
    choices = sorted(known)
    near = get_close_matches(name, choices, n=1, cutoff=0.6) or [
        choice for choice in choices if choice.lower() == name.lower()
    ]
    if near:
        return f"Did you mean `{near[0]}`?"
    if 0 < len(choices) <= 20:
        return f"Known here: {', '.join(choices)}."
    return None
