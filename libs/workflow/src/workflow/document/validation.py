"""Everything that is wrong with a document, in one go."""

from dataclasses import dataclass

from workflow.document.catalog import FunctionCatalog, Functions
from workflow.document.checks import (
    arguments,
    authentication,
    expressions,
    flow,
    http_calls,
    identity,
    policies,
    recursion,
    references,
    schedules,
    schemas,
    support,
    variables,
)
from workflow.document.checks.examined import Examined
from workflow.document.constructs import EXECUTABLE, Construct
from workflow.document.definition import Definition
from workflow.document.diagnostics import Diagnostic, DocumentRefused, has_errors
from workflow.document.loader import LoadedDocument
from workflow.document.report import Report
from workflow.document.salvage import salvage
from workflow.document.structure import PROBLEMS_MAX, read_definition


@dataclass(frozen=True, slots=True)
class Examination:
    definition: Definition | None
    """`None` if the structure is broken. Not fit for execution if there are errors."""
    diagnostics: list[Diagnostic]

    @property
    def accepted(self) -> bool:
        return self.definition is not None and not has_errors(self.diagnostics)


def examine(
    loaded: LoadedDocument,
    *,
    functions: FunctionCatalog | None = None,
    executable: frozenset[Construct] = EXECUTABLE,
) -> Examination:
    """The definition in a document, and what keeps it from being registered."""
    report = Report(loaded.source)
    if identity.is_old_document(loaded.value):
        identity.tell_old_document(report)
        return Examination(None, report.diagnostics)
    definition, problems = read_definition(loaded.value)
    for problem in problems:
        problem.tell(report)
    readable = definition
    if 0 < len(problems) < PROBLEMS_MAX:
        readable = salvage(loaded.value, problems)
    if readable is not None:
        _check(Examined(readable, loaded.value, functions or Functions()), executable, report)
    return Examination(definition, report.diagnostics)


def validate(
    loaded: LoadedDocument,
    *,
    functions: FunctionCatalog | None = None,
    executable: frozenset[Construct] = EXECUTABLE,
) -> list[Diagnostic]:
    """Empty, or warnings only, if the document may be registered."""
    return examine(loaded, functions=functions, executable=executable).diagnostics


def parse_definition(loaded: LoadedDocument) -> Definition:
    """The definition of a document that was accepted before; only its structure is checked."""
    definition, problems = read_definition(loaded.value)
    if definition is not None:
        return definition
    report = Report(loaded.source)
    for problem in problems:
        problem.tell(report)
    raise DocumentRefused(report.diagnostics)


_CHECKS = (
    identity.check,
    flow.check,
    references.check,
    recursion.check,
    variables.check,
    schemas.check,
    http_calls.check,
    arguments.check,
    authentication.check,
    policies.check,
    schedules.check,
)


def _check(document: Examined, executable: frozenset[Construct], report: Report) -> None:
    for check in _CHECKS:
        check(document, report)
    expressions.check(document, executable, report)
    support.check(document, executable, report)
