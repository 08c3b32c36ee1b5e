"""Every expression in a document is one: its syntax, its functions, and the variables it uses."""

from collections.abc import Iterable
from functools import partial

from workflow.document.checks.authentication import check_secrets
from workflow.document.checks.examined import Examined
from workflow.document.checks.support import refuse
from workflow.document.checks.variables import ALWAYS, Variables
from workflow.document.constructs import Construct
from workflow.document.data import Export, Input, Output
from workflow.document.diagnostics import Code
from workflow.document.durations import Duration
from workflow.document.events import Correlation, EventStrategy
from workflow.document.parts import Part
from workflow.document.policies import RetryPolicy
from workflow.document.processes import Script
from workflow.document.report import Report, did_you_mean
from workflow.document.resources import Catalog, EndpointConfiguration
from workflow.document.tasks import Catch, ForTask, Loop, SwitchCase, TaskBase
from workflow.document.walk import Visit, is_data
from workflow.expressions import (
    Expression,
    ExpressionSyntaxError,
    compile_bare,
    compile_template,
    compile_uri_template,
)

# Properties that hold one expression, with or without `${ }`. Everywhere else a text is a text,
# and only what is in `${ }` is evaluated.
_EXPRESSION_ONLY: dict[type[Part], frozenset[str]] = {
    TaskBase: frozenset({"if"}),
    Input: frozenset({"from"}),
    Output: frozenset({"as"}),
    Export: frozenset({"as"}),
    Loop: frozenset({"in"}),
    ForTask: frozenset({"while"}),
    SwitchCase: frozenset({"when"}),
    Catch: frozenset({"when", "exceptWhen"}),
    RetryPolicy: frozenset({"when", "exceptWhen"}),
    EventStrategy: frozenset({"until"}),
    Correlation: frozenset({"from"}),
}


def check(document: Examined, executable: frozenset[Construct], report: Report) -> None:
    variables = Variables(document)
    for visit in document.visits:
        text = visit.value.expression if isinstance(visit.value, Duration) else visit.value
        if not isinstance(text, str) or not _is_evaluated(visit, text):
            continue
        try:
            found = list(_compile(visit, text))
        except ExpressionSyntaxError as error:
            _tell_syntax(error, visit.pointer, report)
            continue
        names = frozenset[str]().union(*(expression.variables for expression in found))
        _check_variables(names, variables, visit.pointer, report)
        _check_support(names, visit.pointer, executable, report)
        if "secrets" in names and Construct.SECRETS in executable:
            reading = [each for each in found if "secrets" in each.variables]
            check_secrets(reading, visit.pointer, document, report)


def is_expression_only(visit: Visit) -> bool:
    return visit.is_direct and any(
        isinstance(visit.owner, kind) and visit.property in names
        for kind, names in _EXPRESSION_ONLY.items()
    )


def _is_evaluated(visit: Visit, text: str) -> bool:
    if is_data(visit.owner, visit.property):
        return False
    if isinstance(visit.owner, Script) and visit.property == "code":
        return False  # `${ }` is JavaScript's there
    return "${" in text or is_expression_only(visit) or _is_endpoint(visit)


def _is_endpoint(visit: Visit) -> bool:
    if not visit.is_direct:
        return False
    is_uri = isinstance(visit.owner, EndpointConfiguration) and visit.property == "uri"
    return is_uri or visit.property == "endpoint" or isinstance(visit.owner, Catalog)


def _compile(visit: Visit, text: str) -> Iterable[Expression]:
    if is_expression_only(visit) or isinstance(visit.value, Duration):
        return [compile_bare(text)]
    if _is_endpoint(visit):
        return compile_uri_template(text).expressions
    return compile_template(text).expressions


def _tell_syntax(error: ExpressionSyntaxError, pointer: str, report: Report) -> None:
    report.error(
        Code.EXPRESSION,
        pointer,
        f"{error.message} (character {error.offset + 1} of the text)",
        error.advice or None,
    )


def _check_variables(
    names: frozenset[str], variables: Variables, pointer: str, report: Report
) -> None:
    if names <= ALWAYS or pointer.startswith("/use/extensions/"):
        return  # an extension runs around tasks anywhere, with the variables known there
    known = variables.at(pointer)
    for name in sorted(names - known):
        report.error(
            Code.EXPRESSION,
            pointer,
            f"there is no variable `${name}` here",
            partial(_variable_advice, name, known),
        )


def _variable_advice(name: str, known: set[str]) -> str:
    near = did_you_mean(f"${name}", [f"${other}" for other in known])
    return near or f"For a property of the current data write `.{name}`."


def _check_support(
    names: frozenset[str], pointer: str, executable: frozenset[Construct], report: Report
) -> None:
    if "secrets" in names and Construct.SECRETS not in executable:
        refuse(Construct.SECRETS, pointer, report)
    if "authorization" in names and Construct.AUTHORIZATION not in executable:
        refuse(Construct.AUTHORIZATION, pointer, report)
