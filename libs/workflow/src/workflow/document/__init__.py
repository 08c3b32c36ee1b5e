"""Workflow documents: reading them, their models, and what is wrong with them."""

from workflow.document.canonical import canonical_json, fingerprint
from workflow.document.catalog import (
    FunctionCatalog,
    FunctionReference,
    Functions,
    FunctionSpec,
    parse_reference,
)
from workflow.document.constructs import EXECUTABLE, Construct
from workflow.document.definition import Definition
from workflow.document.diagnostics import Code, Diagnostic, DocumentRefused, Severity, has_errors
from workflow.document.durations import Duration, InvalidDuration, parse_duration
from workflow.document.loader import LoadedDocument, format_of, load_document
from workflow.document.tasks import NamedTask, Task, TaskList
from workflow.document.validation import Examination, examine, parse_definition, validate

__all__ = [
    "EXECUTABLE",
    "Code",
    "Construct",
    "Definition",
    "Diagnostic",
    "DocumentRefused",
    "Duration",
    "Examination",
    "FunctionCatalog",
    "FunctionReference",
    "FunctionSpec",
    "Functions",
    "InvalidDuration",
    "LoadedDocument",
    "NamedTask",
    "Severity",
    "Task",
    "TaskList",
    "canonical_json",
    "examine",
    "fingerprint",
    "format_of",
    "has_errors",
    "load_document",
    "parse_definition",
    "parse_duration",
    "parse_reference",
    "validate",
]
