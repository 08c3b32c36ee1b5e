"""Reading and checking definitions beside the event loop: a large one takes a while."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.errors import Unprocessable
from workflow.document.catalog import Functions, FunctionSpec
from workflow.document.diagnostics import Diagnostic, DocumentRefused, Severity
from workflow.document.loader import load_document
from workflow.document.validation import examine

_AT_ONCE: Final = asyncio.Semaphore(2)
"""Threads share the interpreter: more at once would only make the event loop wait longer."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A document that was read. `config` is None if it is not fit for registration."""

    diagnostics: Sequence[Diagnostic]
    config: dict[str, Any] | None = None
    fingerprint: str = ""
    namespace: str = ""
    name: str = ""
    semver: str = ""

    @property
    def warnings(self) -> list[dict[str, Any]]:
        return [each.to_json() for each in self.diagnostics if each.severity is Severity.WARNING]


async def check(raw: bytes, media_type: str, functions: Sequence[FunctionSpec]) -> Checked:
    """Everything that is wrong with a document; never raises for what the caller sent."""
    async with _AT_ONCE:
        return await asyncio.to_thread(_check, raw, media_type, functions)


def _check(raw: bytes, media_type: str, functions: Sequence[FunctionSpec]) -> Checked:
    try:
        loaded = load_document(raw, media_type)
        examination = examine(loaded, functions=Functions(functions))
    except DocumentRefused as refused:
        return Checked(refused.diagnostics)
    if not examination.accepted or examination.definition is None:
        return Checked(examination.diagnostics)
    header = examination.definition.document
    return Checked(
        examination.diagnostics,
        loaded.value,
        loaded.fingerprint,
        header.namespace,
        header.name,
        header.version,
    )


def refusal(checked: Checked) -> Unprocessable:
    """The 422 for a document that cannot be registered: every problem with its position and advice."""
    problems = [each for each in checked.diagnostics if each.severity is Severity.ERROR]
    first = f" The first: {problems[0]}" if problems else ""
    return Unprocessable(
        f"The definition has {len(problems)} problem(s).{first}",
        code="invalid_definition",
        extensions={
            "errors": [
                {**each.to_json(), "detail": f"{each.message} {each.advice or ''}".strip()}
                for each in checked.diagnostics
            ]
        },
    )
