"""Who a workflow is: version of the language, namespace, name, version."""

import re
from typing import Any

from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.processes import Subflow
from workflow.document.report import Report

_NUMBER = r"(?:0|[1-9][0-9]*)"
_WORD = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
SEMVER = re.compile(
    rf"(?P<major>{_NUMBER})\.(?P<minor>{_NUMBER})\.(?P<patch>{_NUMBER})"
    rf"(?:-{_WORD}(?:\.{_WORD})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
LABEL = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")
VERSION_MAX_LENGTH = 100

_DSL_ADVICE = "Write `dsl: '1.0.3'`."
_OLD_DSL = "Documents of version 0.8 (with `states`) must be rewritten as tasks: see `do`."
_OLD_KEYS = frozenset({"specVersion", "states", "start", "events", "functions", "retries"})


def is_old_document(value: Any) -> bool:
    """Whether this is a document of the language's version 0.8, which had states."""
    if not isinstance(value, dict) or "document" in value:
        return False
    return "states" in value or len(_OLD_KEYS & value.keys()) >= 2


def tell_old_document(report: Report) -> None:
    report.error(
        Code.DSL_VERSION,
        "",
        "this document is written in version 0.8 of the language; versions 1.0.x are read here",
        "Begin with `document: {dsl: '1.0.3', namespace: …, name: …, version: …}` and rewrite each"
        " state as a task in `do`: operation → call, inject → set, switch → switch, parallel →"
        " fork, foreach → for, sleep → wait, event → listen.",
    )


def check(document: Examined, report: Report) -> None:
    header = document.definition.document
    _check_dsl(header.dsl, report)
    _check_label(header.namespace, "namespace", "/document/namespace", report)
    _check_label(header.name, "name", "/document/name", report)
    _check_version(header.version, "/document/version", report)
    for pointer, subflow in document.each(Subflow):
        _check_subflow(subflow, pointer, report)


def _check_dsl(dsl: str, report: Report) -> None:
    version = SEMVER.fullmatch(dsl)
    if version and version["major"] == "1" and version["minor"] == "0":
        return
    advice = f"{_DSL_ADVICE} {_OLD_DSL}" if dsl.startswith("0.") else _DSL_ADVICE
    report.error(
        Code.DSL_VERSION,
        "/document/dsl",
        f"version {_short(dsl)} of the language is not known; versions 1.0.x are",
        advice,
    )


def _check_label(text: str, what: str, pointer: str, report: Report) -> None:
    if LABEL.fullmatch(text):
        return
    report.error(
        Code.IDENTITY,
        pointer,
        f"{_short(text)} cannot be a {what}",
        "Use 1 to 63 letters, digits and hyphens, with a letter or digit at both ends.",
    )


def _check_version(text: str, pointer: str, report: Report, *, advice: str = "") -> None:
    if SEMVER.fullmatch(text) and len(text) <= VERSION_MAX_LENGTH:
        return
    report.error(
        Code.IDENTITY,
        pointer,
        f"{_short(text)} is not a semantic version",
        f"Write three numbers, such as '1.0.0'{advice}.",
    )


def _check_subflow(subflow: Subflow, pointer: str, report: Report) -> None:
    # An expression is known only when the task is reached.
    if "${" not in subflow.namespace:
        _check_label(subflow.namespace, "namespace", f"{pointer}/namespace", report)
    if "${" not in subflow.name:
        _check_label(subflow.name, "name", f"{pointer}/name", report)
    if "${" not in subflow.version and subflow.version != "latest":
        _check_version(subflow.version, f"{pointer}/version", report, advice=", or `latest`")


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}…")
