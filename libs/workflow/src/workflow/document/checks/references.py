"""Names that stand for something declared in `use`, and declarations that nothing uses."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from workflow.document.catalog import DEFAULT_CATALOG, FunctionReference, parse_reference
from workflow.document.checks.examined import Examined
from workflow.document.diagnostics import Code
from workflow.document.report import Report, did_you_mean
from workflow.document.resources import AuthenticationReference, SecretReference
from workflow.document.source import join
from workflow.document.tasks import CALL_KINDS, CallFunctionTask, Catch, Raising, TaskBase


class Reference(NamedTuple):
    section: str
    noun: str
    name: str
    pointer: str


def check(document: Examined, report: Report) -> None:
    used: set[tuple[str, str]] = set()
    for reference in _references(document):
        used.add((reference.section, reference.name))
        known = document.declared(reference.section)
        if reference.name not in known:
            report.error(
                Code.REFERENCE,
                reference.pointer,
                f"there is no {reference.noun} `{reference.name}` in `use.{reference.section}`",
                partial(_reference_advice, reference, known),
            )
    for pointer, task in document.each(CallFunctionTask):
        used.add(("functions", task.call))
        _check_function(task.call, join(pointer, "call"), document, report)
    _check_function_names(document, report)
    _tell_unused(document, used, report)


def _check_function_names(document: Examined, report: Report) -> None:
    for name in CALL_KINDS:
        if name in document.declared("functions"):
            report.error(
                Code.REFERENCE,
                join("/use/functions", name),
                f"a function cannot be named `{name}`, which is a kind of call",
                "Choose another name.",
                of_key=True,
            )


def _references(document: Examined) -> Iterator[Reference]:
    definition = document.definition
    if isinstance(definition.timeout, str):
        yield Reference("timeouts", "timeout", definition.timeout, "/timeout")
    for pointer, task in document.each(TaskBase):
        if isinstance(task.timeout, str):
            yield Reference("timeouts", "timeout", task.timeout, join(pointer, "timeout"))
    for pointer, catch in document.each(Catch):
        if isinstance(catch.retry, str):
            yield Reference("retries", "retry policy", catch.retry, join(pointer, "retry"))
    for pointer, raising in document.each(Raising):
        if isinstance(raising.error, str):
            yield Reference("errors", "error", raising.error, join(pointer, "error"))
    for pointer, policy in document.each(AuthenticationReference):
        yield Reference("authentications", "authentication", policy.use, join(pointer, "use"))
    for pointer, secret in document.each(SecretReference):
        yield Reference("secrets", "secret", secret.use, join(pointer, "use"))


def _reference_advice(reference: Reference, known: Iterable[str]) -> str:
    return did_you_mean(reference.name, known) or f"Declare it there, in `use.{reference.section}`."


def _check_function(call: str, pointer: str, document: Examined, report: Report) -> None:
    declared = document.declared("functions")
    if call in declared or "://" in call:
        return
    reference = parse_reference(call)
    catalogs = (DEFAULT_CATALOG, *document.declared("catalogs"))
    if reference is None:
        report.error(
            Code.REFERENCE,
            pointer,
            f"there is no function `{call}`",
            partial(_function_advice, call, document),
        )
    elif reference.catalog not in catalogs:
        report.error(
            Code.REFERENCE,
            pointer,
            f"there is no catalog `{reference.catalog}`",
            partial(did_you_mean, reference.catalog, catalogs),
        )
    elif reference.catalog == DEFAULT_CATALOG:
        if document.functions.find(reference.name, reference.version) is None:
            report.error(
                Code.REFERENCE,
                pointer,
                f"the default catalog has no function `{reference.name}:{reference.version}`",
                partial(_catalog_advice, reference, document),
            )


def _catalog_advice(reference: FunctionReference, document: Examined) -> str:
    """By name alone: the version in common would make any two functions look alike."""
    offered = [full.partition(":") for full in document.functions.names()]
    versions = sorted(version for name, _, version in offered if name == reference.name)
    if versions:
        return f"It has {', '.join(f'`{reference.name}:{version}`' for version in versions)}."
    near = did_you_mean(reference.name, {name for name, _, _ in offered})
    if near and near.startswith("Did"):
        return near
    return "Start the workers that offer it, then register the workflow."


def _function_advice(call: str, document: Examined) -> str:
    """Most often it is a built-in function whose full name was not given, or a typing error."""
    name = call.partition("@")[0].partition(":")[0]
    offered = [full for full in document.functions.names() if full.partition(":")[0] == name]
    if offered:
        return f"Write `{max(offered)}@{DEFAULT_CATALOG}`."
    near = did_you_mean(call, (*document.declared("functions"), *CALL_KINDS))
    if near and near.startswith("Did"):
        return near
    return "Declare it in `use.functions`, or name one of a catalog as `name:version@default`."


_SECTIONS = {
    "authentications": "authentication",
    "errors": "error",
    "functions": "function",
    "retries": "retry policy",
    "timeouts": "timeout",
}


def _tell_unused(document: Examined, used: set[tuple[str, str]], report: Report) -> None:
    for section, noun in _SECTIONS.items():
        for name in document.declared(section):
            if (section, name) not in used:
                report.warning(
                    Code.UNUSED,
                    join("/use", section, name),
                    f"the {noun} `{name}` is declared but never used",
                    of_key=True,
                )
