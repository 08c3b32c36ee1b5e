"""What is wrong with a document, where, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


class Code(StrEnum):
    """Stable: programs and documentation rely on these words, never on the messages."""

    SYNTAX = "syntax"
    """Not JSON or YAML at all, or a form of it that documents must not use."""
    LIMIT = "limit"
    """Too large, too deep, or with too many tasks."""
    STRUCTURE = "structure"
    """A property is missing, unknown, of the wrong type, or combined with one it excludes."""
    DSL_VERSION = "dsl-version"
    IDENTITY = "identity"
    """Namespace, name or version is not of the form that identifies a workflow."""
    DURATION = "duration"
    EXPRESSION = "expression"
    REFERENCE = "reference"
    """A name that nothing declares."""
    FLOW = "flow"
    """`then` leads nowhere."""
    DUPLICATE_TASK = "duplicate-task"
    SCHEMA = "schema"
    """A JSON Schema that does not compile."""
    URI = "uri"
    CRON = "cron"
    ARGUMENTS = "arguments"
    """`with` does not match what the function takes."""
    RECURSION = "recursion"
    """A function that calls itself."""
    UNUSED = "unused"
    """Declared and never used, or written where it has no effect."""
    UNSUPPORTED = "unsupported"
    """Part of the language, but this engine does not execute it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    code: Code
    message: str
    advice: str | None = None
    pointer: str = ""
    """JSON pointer of the value; a property that is missing is named too."""
    line: int | None = None
    """From 1. `None` if the document did not come as text."""
    column: int | None = None
    severity: Severity = Severity.ERROR

    def to_json(self) -> dict[str, Any]:
        """As the API shows it; what is not known is left out."""
        shown = {
            "code": self.code.value,
            "severity": self.severity.value,
            "pointer": self.pointer,
            "line": self.line,
            "column": self.column,
            "message": self.message,
            "advice": self.advice,
        }
        return {name: value for name, value in shown.items() if value is not None}

    def __str__(self) -> str:
        place = f"{self.line}:{self.column}: " if self.line is not None else ""
        advice = f" {self.advice}" if self.advice else ""
        return (
            f"{place}{self.severity}: {self.message} [{self.code} at {self.pointer or '/'}]{advice}"
        )


class DocumentRefused(ValueError):
    """A document that cannot be read; the diagnostics say why."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__("; ".join(str(diagnostic) for diagnostic in diagnostics))
        self.diagnostics = diagnostics


def has_errors(diagnostics: list[Diagnostic]) -> bool:
    return any(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
