"""Every construct that is not executed is refused, by name and with another way where there is one."""

from collections.abc import Callable, Iterator

from workflow.document import tasks
from workflow.document.catalog import DEFAULT_CATALOG, parse_reference
from workflow.document.checks.examined import Examined
from workflow.document.constructs import ALTERNATIVES, Construct
from workflow.document.data import DataSchema
from workflow.document.definition import Evaluate, Schedule, Use
from workflow.document.diagnostics import Code
from workflow.document.parts import Part
from workflow.document.processes import Process
from workflow.document.report import Report
from workflow.document.resources import AuthenticationPolicy, SecretReference
from workflow.document.source import join

Use_ = tuple[Construct, str]
"""A construct, and the property that uses it, below the part's own pointer."""


def check(document: Examined, executable: frozenset[Construct], report: Report) -> None:
    for visit in document.visits:
        if not isinstance(visit.value, Part):
            continue
        for construct, name in used_by(visit.value, document):
            if construct not in executable:
                pointer = join(visit.pointer, name) if name else visit.pointer
                refuse(construct, pointer, report)


def refuse(construct: Construct, pointer: str, report: Report) -> None:
    report.error(
        Code.UNSUPPORTED,
        pointer,
        f"`{construct}` is part of the language, but this engine does not execute it",
        ALTERNATIVES.get(construct),
        of_key=True,
    )


def used_by(part: Part, document: Examined) -> Iterator[Use_]:
    """The constructs that one part uses by itself, not those of the parts in it."""
    if isinstance(part, tasks.CallFunctionTask) and part.call not in document.declared("functions"):
        yield from _of_function(part.call)
    for kind, constructs in _USES.items():
        if isinstance(part, kind):
            yield from constructs(part)


def _of_function(call: str) -> Iterator[Use_]:
    reference = parse_reference(call)
    if "://" in call:
        yield Construct.CALL_FUNCTION_URL, "call"
    elif reference is not None and reference.catalog != DEFAULT_CATALOG:
        yield Construct.CALL_FUNCTION_CATALOG, "call"


def _of_process(part: Process) -> Iterator[Use_]:
    yield Construct(f"run: {part.kind}"), part.kind


def _of_authentication(part: AuthenticationPolicy) -> Iterator[Use_]:
    yield Construct(f"authentication: {part.scheme}"), part.scheme


def _of_schema(part: DataSchema) -> Iterator[Use_]:
    if part.resource is not None:
        yield Construct.SCHEMA_RESOURCE, "resource"
    if part.format is not None and part.format.partition(":")[0] != "json":
        yield Construct.SCHEMA_FORMAT, "format"


def _of_evaluate(part: Evaluate) -> Iterator[Use_]:
    if part.mode == "loose":
        yield Construct.LOOSE_MODE, "mode"
    if part.language not in {None, "jq"}:
        yield Construct.OTHER_LANGUAGE, "language"


def _of_use(part: Use) -> Iterator[Use_]:
    if part.secrets:
        yield Construct.SECRETS, "secrets"
    if part.extensions:
        yield Construct.EXTENSIONS, "extensions"
    if part.catalogs:
        yield Construct.CATALOGS, "catalogs"


def _always(construct: Construct, name: str = "") -> Callable[[Part], Iterator[Use_]]:
    return lambda _part: iter([(construct, name)])


_USES: dict[type[Part], Callable[..., Iterator[Use_]]] = {
    tasks.EmitTask: _always(Construct.EMIT, "emit"),
    tasks.ListenTask: _always(Construct.LISTEN, "listen"),
    tasks.CallHttpTask: _always(Construct.CALL_HTTP, "call"),
    tasks.CallOpenApiTask: _always(Construct.CALL_OPENAPI, "call"),
    tasks.CallGrpcTask: _always(Construct.CALL_GRPC, "call"),
    tasks.CallAsyncApiTask: _always(Construct.CALL_ASYNCAPI, "call"),
    tasks.CallA2aTask: _always(Construct.CALL_A2A, "call"),
    tasks.CallMcpTask: _always(Construct.CALL_MCP, "call"),
    Process: _of_process,
    AuthenticationPolicy: _of_authentication,
    SecretReference: _always(Construct.SECRETS, "use"),
    DataSchema: _of_schema,
    Schedule: _always(Construct.SCHEDULE),
    Evaluate: _of_evaluate,
    Use: _of_use,
}
